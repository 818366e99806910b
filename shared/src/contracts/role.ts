import { z } from "zod";

/** What an operator may do, each role including the ones before it: look; run the fleet; say who else may. */
export const Role = z.enum(["viewer", "operator", "admin"]);
export type Role = z.infer<typeof Role>;

/** Whether `held` includes what `needed` allows. */
export function roleIncludes(held: Role, needed: Role): boolean {
  return Role.options.indexOf(held) >= Role.options.indexOf(needed);
}

/** A name that can stand in a certificate's identity. */
export const OperatorName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "expected lower-case letters, digits and dashes, at most 63");
