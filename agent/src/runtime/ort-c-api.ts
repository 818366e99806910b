import koffi from "koffi";
import type { OrtLibrary } from "./ort-library.ts";

/** An address in this process; null is C's null pointer. */
export type Pointer = bigint | null;

/** Memory that C may read or write: its data lies outside V8's heap and doesn't move. */
export type NativeBuffer =
  | Int8Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array
  | Float32Array
  | Uint16Array
  | Uint8Array;

/**
 * The API version asked of the library. Every function used here exists since version 4; the struct of function
 * pointers only ever grows at its end, so that positions are stable (onnxruntime_c_api.h, "OrtApi").
 */
const apiVersion = 13;

const pointer = "void *";
const path = process.platform === "win32" ? "str16" : "str";

/** Position of a function in `OrtApi`, its result and its parameters. Results of type pointer are an `OrtStatus*`. */
const functions = {
  GetErrorMessage: [2, "str", [pointer]],
  CreateEnv: [3, pointer, ["int", "str", pointer]],
  CreateSession: [7, pointer, [pointer, path, pointer, pointer]],
  CreateSessionFromArray: [8, pointer, [pointer, pointer, "size_t", pointer, pointer]],
  CreateSessionOptions: [10, pointer, [pointer]],
  DisableMemPattern: [17, pointer, [pointer]],
  DisableCpuMemArena: [19, pointer, [pointer]],
  SetIntraOpNumThreads: [24, pointer, [pointer, "int"]],
  SetInterOpNumThreads: [25, pointer, [pointer, "int"]],
  SessionGetInputCount: [30, pointer, [pointer, pointer]],
  SessionGetOutputCount: [31, pointer, [pointer, pointer]],
  CreateTensorWithDataAsOrtValue: [49, pointer, [pointer, pointer, "size_t", pointer, "size_t", "int", pointer]],
  CreateCpuMemoryInfo: [69, pointer, ["int", "int", pointer]],
  ReleaseEnv: [92, "void", [pointer]],
  ReleaseStatus: [93, "void", [pointer]],
  ReleaseMemoryInfo: [94, "void", [pointer]],
  ReleaseSession: [95, "void", [pointer]],
  ReleaseValue: [96, "void", [pointer]],
  ReleaseSessionOptions: [100, "void", [pointer]],
  AddSessionConfigEntry: [130, pointer, [pointer, "str", "str"]],
  RunWithBinding: [133, pointer, [pointer, pointer, pointer]],
  CreateIoBinding: [134, pointer, [pointer, pointer]],
  ReleaseIoBinding: [135, "void", [pointer]],
  BindInput: [136, pointer, [pointer, "str", pointer]],
  BindOutput: [137, pointer, [pointer, "str", pointer]],
} as const satisfies Record<string, readonly [number, string, readonly string[]]>;

type FunctionName = keyof typeof functions;
type ReleaseName = Extract<FunctionName, `Release${string}`>;
type StatusName = Exclude<FunctionName, ReleaseName | "GetErrorMessage">;
type Argument = Pointer | NativeBuffer | number | string;

/** Element types as ONNX Runtime numbers them. */
export const elementType = { float32: 1, int8: 3, int32: 6, int64: 7, float16: 10 } as const;

/** ORT_LOGGING_LEVEL_ERROR: what fails is also thrown, warnings are about the graph and of no use on a device. */
export const errorLogLevel = 3;

/** ONNX Runtime's C API: status results become exceptions, out parameters become results. */
export interface OrtApi {
  readonly version: string;
  /** C's `OrtApiBase *`, for libraries of operators. */
  readonly base: unknown;
  /** Throws `Error` with ONNX Runtime's message unless `status`, the result of a function called `name`, is null. */
  check(name: string, status: unknown): void;
  /** Calls a function that returns a status. Throws `Error` with ONNX Runtime's message. */
  call(name: StatusName, ...args: Argument[]): void;
  /** The same for a function whose last parameter receives a pointer or a size; returns it. */
  create(name: StatusName, ...args: Argument[]): bigint;
  release(name: ReleaseName, handle: Pointer): void;
}

/** Zeroed memory for `length` elements that C may keep a pointer to while the returned array is referenced. */
export function int32Buffer(length: number): Int32Array {
  return new Int32Array(new ArrayBuffer(length * 4));
}

export function int64Buffer(length: number): BigInt64Array {
  return new BigInt64Array(new ArrayBuffer(length * 8));
}

export function float32Buffer(length: number): Float32Array {
  return new Float32Array(new ArrayBuffer(length * 4));
}

/** Binds the functions above. Throws when the library isn't of the version its package states, or is too old. */
export function openOrtApi(library: OrtLibrary): OrtApi {
  const base: unknown = library.handle.func("OrtGetApiBase", pointer, [])();
  const getVersion = koffi.decode(koffi.decode(base, 8, pointer), koffi.proto("str", []));
  const version = String(getVersion());
  if (version !== library.packageVersion) {
    throw new Error(`ONNX Runtime library is version ${version}, its package says ${library.packageVersion}`);
  }
  const getApi = koffi.decode(koffi.decode(base, 0, pointer), koffi.proto(pointer, ["uint32_t"]));
  const api: unknown = getApi(apiVersion);
  if (api === null) throw new Error(`ONNX Runtime ${version} has no C API of version ${apiVersion}`);

  const bound = new Map<FunctionName, (...args: Argument[]) => unknown>();
  for (const [name, [index, result, parameters]] of Object.entries(functions)) {
    const address: unknown = koffi.decode(api, index * 8, pointer);
    bound.set(name as FunctionName, koffi.decode(address, koffi.proto(result, [...parameters])));
  }
  const invoke = (name: FunctionName, args: readonly Argument[]): unknown => bound.get(name)?.(...args);

  const check = (name: string, status: unknown): void => {
    if (status === null) return;
    const message = String(invoke("GetErrorMessage", [status as bigint]));
    invoke("ReleaseStatus", [status as bigint]);
    throw new Error(`ONNX Runtime ${name}: ${message}`);
  };
  const call = (name: StatusName, ...args: Argument[]): void => check(name, invoke(name, args));
  return {
    version,
    base,
    check,
    call,
    create: (name, ...args) => {
      const out = new BigUint64Array(new ArrayBuffer(8));
      call(name, ...args, out);
      return out[0] ?? 0n;
    },
    release: (name, handle) => {
      if (handle !== null) invoke(name, [handle]);
    },
  };
}
