import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** A JSON Schema as /openapi.json writes one: never a boolean, never a reference out of the document. */
export interface Schema {
  type?: string;
  const?: unknown;
  enum?: unknown[];
  anyOf?: Schema[];
  format?: string;
  pattern?: string;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  minLength?: number;
  maxLength?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
}

export interface Parameter {
  name: string;
  in: 'path' | 'query';
  required: boolean;
  schema: Schema;
}

interface Content {
  content?: Record<string, { schema?: Schema }>;
}

interface DocumentedOperation {
  operationId: string;
  security: unknown[];
  parameters: Parameter[];
  requestBody?: Content & { required: boolean };
  responses: Record<string, Content>;
}

export interface OpenApi {
  paths: Record<string, Record<string, DocumentedOperation>>;
  components: { schemas: { Problem: Schema } };
}

/** One operation as the document describes it, and nothing else. */
export interface Operation {
  id: string;
  /** Upper case. */
  method: string;
  /** With `{name}` for each parameter. */
  path: string;
  inPath: Parameter[];
  inQuery: Parameter[];
  body: { schema: Schema; required: boolean; check: ValidateFunction } | 'bytes' | null;
  /** By status; null: the document has no schema of the answer. */
  answers: Map<number, ValidateFunction | null>;
  /** Whether the rest is a problem. */
  hasProblems: boolean;
  needsToken: boolean;
}

export interface ApiDocument {
  operations: Operation[];
  isProblem: ValidateFunction;
  /** What the document says of `METHOD target`; null: nothing. */
  find(method: string, target: string): Operation | null;
  /** Whether a parameter of the query may have this text. */
  mayBe(parameter: Parameter, text: string): boolean;
}

const JSON_TYPE = 'application/json';

export function readDocument(document: OpenApi): ApiDocument {
  // Formats are patterns, too; a schema that ajv does not understand is a fault of the document.
  const ajv = new Ajv2020({ strictTypes: false, strictTuples: false, validateFormats: false, addUsedSchema: false });
  const operations = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => readOperation(ajv, method, path, operation)),
  );
  const patterns = operations.map((operation) => ({ operation, pattern: patternOf(operation.path) }));
  const checks = new Map<Schema, ValidateFunction>();
  return {
    operations,
    isProblem: ajv.compile(document.components.schemas.Problem),
    find(method, target) {
      const path = target.replace(/\?.*$/s, '');
      const asked = method === 'HEAD' ? 'GET' : method;
      return (
        patterns.find(({ operation, pattern }) => operation.method === asked && pattern.test(path))?.operation ?? null
      );
    },
    mayBe({ schema }, text) {
      const check = checks.get(schema) ?? ajv.compile(schema);
      checks.set(schema, check);
      const isNumber = schema.type === 'integer' || schema.type === 'number';
      return check(isNumber && /^\d+$/.test(text) ? Number(text) : text);
    },
  };
}

function readOperation(ajv: Ajv2020, method: string, path: string, documented: DocumentedOperation): Operation {
  const { operationId: id, parameters, requestBody, responses, security } = documented;
  const statuses = Object.entries(responses).filter(([status]) => status !== 'default');
  return {
    id,
    method: method.toUpperCase(),
    path,
    inPath: parameters.filter((parameter) => parameter.in === 'path'),
    inQuery: parameters.filter((parameter) => parameter.in === 'query'),
    body: readBody(ajv, requestBody),
    answers: new Map(
      statuses.map(([status, { content }]) => {
        const schema = content?.[JSON_TYPE]?.schema;
        return [Number(status), schema === undefined ? null : ajv.compile(schema)];
      }),
    ),
    needsToken: security.length > 0,
    hasProblems: responses.default?.content?.['application/problem+json'] !== undefined,
  };
}

function readBody(ajv: Ajv2020, body: DocumentedOperation['requestBody']): Operation['body'] {
  if (body === undefined) return null;
  const schema = body.content?.[JSON_TYPE]?.schema;
  return schema === undefined ? 'bytes' : { schema, required: body.required, check: ajv.compile(schema) };
}

/** A last `{path}` takes the rest of the address. */
function patternOf(path: string): RegExp {
  const escaped = path.replaceAll(/[.+*?^$()|[\]\\]/g, '\\$&');
  return new RegExp(`^${escaped.replace(/\{path\}$/, '.+').replaceAll(/\{\w+\}/g, '[^/]+')}$`, 's');
}
