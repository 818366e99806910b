import { isIP } from "node:net";
import { fileURLToPath } from "node:url";
import { type GrpcObject, loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { z } from "zod";
import type { ProtoGrpcType as EnrollmentPackage } from "./generated/enrollment.ts";
import type { Document, Document__Output } from "./generated/espalier/v1/Document.ts";
import type { ProtoGrpcType as OperatorPackage } from "./generated/operator.ts";
import type { ProtoGrpcType as SessionPackage } from "./generated/session.ts";

type Services = (EnrollmentPackage & OperatorPackage & SessionPackage)["espalier"]["v1"] &
  EnrollmentPackage["espalier"]["v1"] &
  OperatorPackage["espalier"]["v1"];

/** The gRPC services of proto/espalier/v1: `Enrollment`, `DeviceSession`, `Operator`. */
export function loadServices(): Services {
  const folder = fileURLToPath(new URL("../../proto", import.meta.url));
  const definition = loadSync(
    ["espalier/v1/enrollment.proto", "espalier/v1/session.proto", "espalier/v1/operator.proto"],
    { includeDirs: [folder], longs: Number, enums: String, defaults: true, oneofs: true },
  );
  const root: GrpcObject & { espalier?: { v1?: unknown } } = loadPackageDefinition(definition);
  return root.espalier?.v1 as Services;
}

/** A name in every coordinator's certificate, whatever its address. */
export const coordinatorTlsName = "coordinator.espalier.internal";

/**
 * Channel options that TLS to this `host:port` needs. Node sends no address as a server name, so a coordinator reached
 * by its address is known by its fixed name; only certificates of the fleet's own authority carry it.
 */
export function tlsChannelOptions(address: string): { "grpc.ssl_target_name_override"?: string } {
  const host = address.slice(0, address.lastIndexOf(":")).replace(/^\[|\]$/g, "");
  return isIP(host) === 0 ? {} : { "grpc.ssl_target_name_override": coordinatorTlsName };
}

/** Wraps a value of a zod contract for gRPC. */
export function toDocument(contract: string, value: unknown): Document {
  return { contract, json: JSON.stringify(value) };
}

/**
 * Reads a document by its contract.
 * @throws {SyntaxError} for text that is no JSON, {z.ZodError} for a value that breaks the contract
 */
export function fromDocument<Schema extends z.ZodType>(document: Document__Output, schema: Schema): z.infer<Schema> {
  return schema.parse(JSON.parse(document.json));
}
