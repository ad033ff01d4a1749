// A client of marketrank. Routes, bodies and answers are typed by `schema.ts`, which `npm run build` makes from
// ../openapi.json; what does not fit the server does not compile.

import createClient, { type Client, type ClientOptions } from "openapi-fetch";

import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];

/** A listing as the server stores it and gives it back. */
export type Product = Schemas["Product"];
/** A listing to be stored or ranked. */
export type ProductInput = Schemas["ProductInput"];
/** What to rank by, what to rank, and which part of the order to give. */
export type RankRequest = Schemas["RankBody"];
/** Listings, best first. */
export type RankAnswer = Schemas["RankAnswer"];
/** Category, runners-up, review and price band of a listing. */
export type Prediction = Schemas["PredictResponse"];
/** The body of every error (RFC 9457). */
export type Problem = Schemas["Problem"];

export type Marketrank = Client<paths, `${string}/${string}`>;

/** `const { data, error } = await marketrank("http://localhost:8080").POST("/v1/rank-products", { body: … })` */
export function marketrank(baseUrl: string, options: Omit<ClientOptions, "baseUrl"> = {}): Marketrank {
  return createClient<paths>({ ...options, baseUrl });
}
