// What the TypeScript client takes and refuses; compiled, never run.

import { marketrank, type Product } from "../../openapi/typescript/dist/index.js";

const server = marketrank("http://localhost:8080", { headers: { "x-request-id": "mine-42" } });

const ranked = await server.POST("/v1/rank-products", {
  body: { query: { text: "tent", weights: { text: 2 } }, filter: { price: { max: 80 } }, limit: 3, facets: ["category"] },
});
if (ranked.error) throw new Error(ranked.error.detail);
export const products: Product[] = ranked.data.results.map(({ product }) => product);
export const towns: (string | null | undefined)[] = products.map(({ location }) => location?.name);

// @ts-expect-error: a limit is a number
await server.POST("/v1/rank-products", { body: { limit: "3" } });
// @ts-expect-error: there is no such route
await server.POST("/v1/rank-product", { body: {} });
// @ts-expect-error: the id is part of the route
await server.GET("/v1/products/{id}");
