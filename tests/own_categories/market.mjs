// A made-up German marketplace: 60 listings in 4 categories, columns of its own, euros, and drawn photos.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deflateSync } from "node:zlib";

const KINDS = {
  "Fahrräder": {
    kinds: ["Rennrad", "Mountainbike", "Kinderfahrrad", "Lastenrad", "Klapprad"],
    details: ["28 Zoll, neue Reifen", "Schaltung frisch eingestellt", "Rahmenhöhe 56, kaum gefahren"],
    colour: [200, 40, 40],
  },
  "Möbel": {
    kinds: ["Sofa", "Esstisch", "Kleiderschrank", "Bücherregal", "Sessel"],
    details: ["aus Eiche, kleine Kratzer", "Nichtraucherhaushalt, zum Selbstabbau", "sehr bequem, Bezug waschbar"],
    colour: [130, 90, 50],
  },
  "Bücher": {
    kinds: ["Roman", "Kochbuch", "Kinderbuch", "Krimi", "Reiseführer"],
    details: ["einmal gelesen", "gebunden, mit Schutzumschlag", "leichte Leserillen"],
    colour: [60, 110, 200],
  },
  "Elektronik": {
    kinds: ["Smartphone", "Laptop", "Kopfhörer", "Fernseher", "Drucker"],
    details: ["mit Ladekabel und Rechnung", "Akku hält den ganzen Tag", "Display ohne Kratzer"],
    colour: [40, 170, 120],
  },
};
const TOWNS = ["Kiel", "Leipzig", "Jena", "Ulm"];
const AGES = ["neuwertig", "drei Jahre alt", "gebraucht"];

export const categories = Object.keys(KINDS).sort();

/** Fifteen listings a category: `{id, title, description, path, price, town, colour}`. */
export const listings = Object.entries(KINDS).flatMap(([category, { kinds, details, colour }], group) =>
  kinds.flatMap((kind, k) => details.map((detail, d) => ({
    id: `${group + 1}${k}${d}`,
    title: `${kind} ${AGES[(k + d) % AGES.length]}`,
    description: `${kind}, ${detail}. ${AGES[d]}, abzuholen in ${TOWNS[(k + d) % TOWNS.length]}. Anzeige ${group}-${k}-${d}.`,
    path: `${category} > ${kind}`,
    price: 20 + 35 * k + 10 * d + 50 * group,
    town: TOWNS[(k + d) % TOWNS.length],
    colour: colour.map((value) => Math.min(255, Math.max(0, value + 9 * k - 7 * d))),
  }))));

/** Writes the tables and photos as the marketplace would export them. */
export async function write(folder) {
  await mkdir(join(folder, "bilder"), { recursive: true });
  const quoted = (text) => `"${String(text).replaceAll('"', '""')}"`;
  const table = (header, rows) => `${header}\n${rows.map((row) => row.map(quoted).join(",")).join("\n")}\n`;
  await writeFile(join(folder, "anzeigen.csv"), table("nummer,titel,text,rubrik,preis,ort",
    listings.map(({ id, title, description, path, price, town }) => [id, title, description, path, `${price} €`, town])));
  await writeFile(join(folder, "bilder.csv"), table("datei,anzeige,tag",
    listings.map(({ id }) => [`bild-${id}`, id, "2026-10-01"])));
  await Promise.all(listings.map(({ id, colour }, index) =>
    writeFile(join(folder, "bilder", `bild-${id}.png`), drawing(colour, index))));
}

/** What tells `prepare` of the columns above. */
export const columns = [
  "--products", "anzeigen.csv", "--images", "bilder.csv", "--photos", "bilder", "--category-separator", " > ",
  "--currency", "EUR", "--id-column", "nummer", "--title-column", "titel", "--description-column", "text",
  "--category-column", "rubrik", "--price-column", "preis", "--location-column", "ort",
  "--photo-column", "datei", "--photo-product-column", "anzeige", "--photo-time-column", "tag",
];

/** A PNG of stripes in this colour, others for every number. */
export function drawing(colour, number, side = 64) {
  const pixels = Buffer.alloc(side * (1 + 3 * side));
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) {
      const light = ((x + y * (number % 5)) >> 3) % 2 ? 40 : 0;
      colour.forEach((value, channel) => {
        pixels[y * (1 + 3 * side) + 1 + 3 * x + channel] = Math.min(255, value + light + (number % 7));
      });
    }
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header.set([8, 2], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(pixels)), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(name, data) {
  const body = Buffer.concat([Buffer.from(name), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, sum]);
}

function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit += 1) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}
