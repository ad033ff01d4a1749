// The second question: what the visitor wishes, asked anew as it changes, and the listings that answer it.

import { photoSource, product as readProduct, rank } from "./api.js";
import { showDetails } from "./details.js";
import { byId, element, icon, showFault, unseen } from "./dom.js";
import { showFacets } from "./facets.js";
import { FilterForm } from "./filters.js";
import { count, milliseconds } from "./format.js";
import { Latest } from "./latest.js";
import { PhotoField } from "./photos.js";
import { addResults, showResults } from "./results.js";
import { Viewed } from "./viewed.js";
import { facetRequest, partsOf, rankRequest } from "./wishes.js";

const TYPING_PAUSE_MS = 250;

export function startSearch(places) {
  const form = byId("search-form");
  const latest = new Latest();
  const more = new Latest();
  const photos = new PhotoField(byId("search-photo"), {
    limit: 1,
    fault: byId("search-photo-fault"),
    changed: () => search(),
  });
  const filters = new FilterForm(places, () => search(TYPING_PAUSE_MS));
  const viewed = new Viewed(byId("viewed"), openAgain);
  let like = null;
  let categories = [];
  let shown = [];
  // What the listings on the page answer: those that follow are asked for by the same.
  let answered = null;

  async function wishes() {
    const [photo] = photos.files;
    return {
      text: form.elements.text.value.trim(),
      photo: photo ? await photoSource(photo) : null,
      like,
      balance: Number(form.elements.balance.value),
      categories,
      ...filters.wishes(),
    };
  }

  function search(delay = 0) {
    return latest.run(async (signal) => {
      try {
        const wished = await wishes();
        showParts(wished);
        const before = viewed.ids;
        const asked = [rank(rankRequest(wished, { viewed: before }), signal)];
        if (categories.length) asked.push(rank(facetRequest(wished), signal));
        const [answer, unfiltered = answer] = await Promise.all(asked);
        showFault(byId("search-fault"), null);
        shown = answer.results;
        answered = { wished, before };
        places.learn(shown.map(({ product }) => product));
        showFacets(unfiltered.facets?.category ?? [], categories, toggleCategory);
        showResults(shown, { place: wished.place, actions });
        summarise(answer, wished);
      } catch (error) {
        if (!signal.aborted) showFault(byId("search-fault"), error.message);
      }
    }, delay);
  }

  async function showMore() {
    const asked = answered;
    await more.run(async (signal) => {
      try {
        const { wished, before } = asked;
        const answer = await rank(rankRequest(wished, { viewed: before, offset: shown.length }), signal);
        // A search was answered meanwhile: these would stand below other listings.
        if (asked !== answered) return;
        showFault(byId("search-fault"), null);
        const first = shown.length + 1;
        const best = Math.max(...shown.map(({ score }) => score), 0);
        shown = [...shown, ...answer.results];
        places.learn(answer.results.map(({ product }) => product));
        addResults(answer.results, { first, best, place: wished.place, actions });
        summarise(answer, wished);
      } catch (error) {
        if (!signal.aborted) showFault(byId("search-fault"), error.message);
      }
    });
  }

  function summarise({ facets, took_ms: took }, wished) {
    const passing = (facets?.category ?? []).reduce((sum, facet) => sum + facet.count, 0);
    const order = partsOf(wished) ? "best first" : viewed.ids.length ? "closest to what you viewed first" : "newest first";
    byId("search-status").textContent = shown.length
      ? `${shown.length} of ${count(Math.max(passing, shown.length), "listing", "listings")}, ${order}, in ${milliseconds(took)}`
      : "No listing passes these filters.";
    byId("more").hidden = shown.length === 0 || shown.length >= Math.min(passing, 976);
  }

  /** The parts of the query beside the words, and the balance between them. */
  function showParts(wished) {
    byId("anchor").hidden = !like;
    byId("anchor").replaceChildren(...(like ? [
      element("span", {}, "More like ", element("b", {}, like.title)),
      element("button", { type: "button", onclick: () => {
        like = null;
        search();
        form.elements.text.focus();
      } }, icon("close"), unseen("Search without it")),
    ] : []));
    byId("balance").hidden = !wished.text || partsOf(wished) < 2;
    byId("balance-other").textContent = wished.photo ? "Photo" : "Likeness";
  }

  function toggleCategory(name) {
    categories = categories.includes(name) ? categories.filter((other) => other !== name) : [...categories, name];
    search();
  }

  function moreLike(product) {
    like = product;
    form.elements.text.value = "";
    photos.replace([]);
    byId("search").scrollIntoView();
    byId("search-heading").focus({ preventScroll: true });
  }

  function open(product, photo) {
    viewed.add({ id: product.id, title: product.title, photo });
    showDetails(product, photo, { place: filters.wishes().place, alike: () => moreLike(product) });
  }

  async function openAgain({ id, photo }) {
    try {
      open(await readProduct(id), photo);
    } catch (error) {
      showFault(byId("search-fault"), error.message);
    }
  }

  function actions({ product, photo }) {
    return { open: () => open(product, photo ?? null), alike: () => moreLike(product) };
  }

  form.elements.text.addEventListener("input", () => search(TYPING_PAUSE_MS));
  form.elements.balance.addEventListener("input", () => search(TYPING_PAUSE_MS));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  byId("more").addEventListener("click", showMore);
  search();

  return {
    /** Searches for listings like one that is not in the catalogue. */
    findAlike({ text, photo }) {
      like = null;
      form.elements.text.value = text;
      photos.replace(photo ? [photo] : []);
      byId("search").scrollIntoView();
      form.elements.text.focus({ preventScroll: true });
    },
  };
}
