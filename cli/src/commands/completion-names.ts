import { RolloutState } from "@espalier/shared/contracts/rollout-state";
import type { ListDevicesResponse__Output } from "@espalier/shared/generated/espalier/v1/ListDevicesResponse";
import type { ListModelsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListModelsResponse";
import type { ListRolloutsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListRolloutsResponse";
import type { ListVariantsResponse__Output } from "@espalier/shared/generated/espalier/v1/ListVariantsResponse";
import type { OperatorClient } from "@espalier/shared/generated/espalier/v1/Operator";
import { fromDocument } from "@espalier/shared/grpc";
import type { Command } from "commander";
import { connect, unary } from "../client.ts";

/** What a word of the command line may name, by the placeholder that help shows for it. */
const kindOfPlaceholder = {
  device: "device",
  rollout: "rollout",
  variant: "variant",
  a: "variant",
  b: "variant",
  model: "model",
} as const;
export type NameKind = (typeof kindOfPlaceholder)[keyof typeof kindOfPlaceholder];

/** A person who waits for a shell gives up after this. */
const withinMs = 800;

/** The kind of thing that an argument or option value names, by its placeholder; null for what isn't in the fleet. */
export function kindOf(placeholder: string): NameKind | null {
  return Object.entries(kindOfPlaceholder).find(([name]) => name === placeholder)?.[1] ?? null;
}

/** The kind of name that the last of the words would be, null for none. @param words after `espalier`, the last unfinished */
export function kindWanted(program: Command, words: readonly string[]): NameKind | null {
  let command = program;
  let position = 0;
  for (const [index, word] of words.entries()) {
    const isLast = index === words.length - 1;
    const option = command.options.find(({ long, short }) => word === long || word === short);
    const previous = command.options.find(({ long }) => long !== undefined && long === words[index - 1]);
    if (isLast) {
      if (previous?.required) return kindOf(placeholderOf(previous.flags));
      return word.startsWith("-") ? null : kindOf(command.registeredArguments[position]?.name() ?? "");
    }
    if (option !== undefined || previous?.required) continue;
    const child = command.commands.find((one) => one.name() === word);
    if (child === undefined) position++;
    else {
      command = child;
      position = 0;
    }
  }
  return null;
}

/** `--model <model>` -> `model` */
export function placeholderOf(flags: string): string {
  return /<(.+)>/.exec(flags)?.[1] ?? "";
}

/** Names of a live coordinator's things; none where it can't be asked in time, since a prompt is no place for errors. */
export async function namesOf(kind: NameKind, contextPath: string): Promise<string[]> {
  try {
    const client = connect(contextPath);
    try {
      return [...new Set(await read[kind](client, { deadline: Date.now() + withinMs }))].sort();
    } finally {
      client.close();
    }
  } catch {
    return [];
  }
}

const read: Record<NameKind, (client: OperatorClient, options: { deadline: number }) => Promise<string[]>> = {
  async device(client, options) {
    const request = { selector: "", device: "" };
    const { devices } = await unary<ListDevicesResponse__Output>((done) => client.listDevices(request, options, done));
    return devices.map(({ name }) => name);
  },
  async rollout(client, options) {
    const { states } = await unary<ListRolloutsResponse__Output>((done) => client.listRollouts({}, options, done));
    return states.map((state) => fromDocument(state, RolloutState).spec.name);
  },
  async variant(client, options) {
    const { variants } = await unary<ListVariantsResponse__Output>((done) => client.listVariants({}, options, done));
    return variants.map(({ name }) => name);
  },
  async model(client, options) {
    const { trees } = await unary<ListModelsResponse__Output>((done) => client.listModels({}, options, done));
    return trees.filter((tree) => tree.kind === "model").map(({ name }) => name);
  },
};
