import { send } from "./repeat.js";
import type { Sender } from "./repeat.js";
import type { components, operations } from "./schema.js";

type Schemas = components["schemas"];

/** A request body whose ref_id may be left out: then the client chooses one, and keeps it while it repeats the call. */
export type WithoutRefID<T extends { ref_id: string }> = Omit<T, "ref_id"> & { ref_id?: string };

/** Filters of the list of cards. */
export type CardFilter = NonNullable<operations["aid_cards_get"]["parameters"]["query"]>;

/** Where the server is and who is asking. */
export interface KortOptions {
  /** The address of the server, without /v1, such as https://cards.example.com. */
  url: string;
  /** The account that all calls are about: P (live) or T (test) and eight digits. */
  account: string;
  /** The access token, or a function that gives one; it is asked before each try. */
  token: string | (() => string | Promise<string>);
  /** What sends the requests. The platform's fetch unless given. */
  fetch?: typeof fetch;
  /** How often a request is sent at most, the first time included. 6 unless given. */
  maxTries?: number;
  /** The longest wait before a try, in seconds; a server that asks for a longer one gets no further try. 30 unless given. */
  maxWait?: number;
  /** How long one try may take, in seconds. 65 unless given. */
  timeout?: number;
}

/** What can be said for each call. */
export interface CallOptions {
  /** Ends the call, its waits included. */
  signal?: AbortSignal;
}

type Query = Record<string, string | number | boolean | readonly string[] | undefined>;

/** How many items a page has, unless the caller chose; it is the most that there can be. */
const pageSize = 100;

/**
 * Calls the API for one account. Calls are repeated where that can help; a call with a ref_id is done once all the same.
 * Those without one, such as the creation of a card, can be refused because an earlier try has done the work:
 * {@link KortError.uncertain} then says that this may be so.
 */
export class Kort {
  readonly #sender: Sender;
  readonly #base: string;

  /** Sends nothing yet. Throws a TypeError that says which option is wrong. */
  constructor(options: KortOptions) {
    const { url, account, token, maxTries = 6, maxWait = 30, timeout = 65 } = options;
    if (!/^https?:\/\/[^?#]+$/.test(url)) {
      throw new TypeError("url must be an http or https address, such as https://cards.example.com");
    }
    if (!/^[PT][0-9]{8}$/.test(account)) {
      throw new TypeError("account must be P or T and eight digits, such as T12345678");
    }
    if (!(maxTries >= 1 && maxWait > 0 && timeout > 0)) {
      throw new TypeError("maxTries must be at least 1, maxWait and timeout more than 0");
    }
    this.#base = `${url.replace(/\/+$/, "")}/v1/accounts/${account}/wallets`;
    this.#sender = {
      fetch: options.fetch ?? ((input, init) => fetch(input, init)),
      token: typeof token === "function" ? token : () => token,
      maxTries, maxWait, timeout,
    };
  }

  /** Creates a card. Its PIN and its token, where they are asked for, are shown in this answer alone. */
  createCard(card: Schemas["CardCreate"], options?: CallOptions): Promise<Schemas["CardCreated"]> {
    return this.#call("POST", ["cards"], options, card);
  }

  /** Creates up to 1000 inactive cards, all or none, in the order of the request. */
  async createBatch(batch: Schemas["BatchCreate"], options?: CallOptions): Promise<Schemas["CardCreated"][]> {
    const created = await this.#call<Schemas["BatchCreated"]>("POST", ["cards", "batch"], options, batch);
    return created.cards;
  }

  /** Makes an inactive card of a batch one that can pay. */
  activateCard(cardId: string, activation: Schemas["CardActivate"], options?: CallOptions): Promise<Schemas["CardDetails"]> {
    return this.#call("POST", ["cards", cardId, "activate"], options, activation);
  }

  /** Reads a card with its figures and its masked tokens. */
  card(cardId: string, options?: CallOptions): Promise<Schemas["CardDetails"]> {
    return this.#call("GET", ["cards", cardId], options);
  }

  /** Takes a card out of use. */
  deleteCard(cardId: string, options?: CallOptions): Promise<Schemas["CardDetails"]> {
    return this.#call("DELETE", ["cards", cardId], options);
  }

  /** Gives a card a new PIN, which is shown in this answer alone. */
  rotatePin(cardId: string, rotation: Schemas["PinRotate"] = { pin: {} }, options?: CallOptions): Promise<Schemas["PinRotated"]> {
    return this.#call("POST", ["cards", cardId, "rotate-pin"], options, rotation);
  }

  /**
   * Creates a token for a card. Its clear value is shown once: when the answer was lost and a repeated request has got
   * the rest of it, `token` is not there.
   */
  createToken(cardId: string, token: WithoutRefID<Schemas["TokenCreate"]>, options?: CallOptions): Promise<Schemas["Token"]> {
    return this.#callOnce(["cards", cardId, "tokens"], options, token);
  }

  /** Looks a card up by a token, and checks the PIN if there is one. */
  cardByToken(token: Schemas["TokenCode"], options?: CallOptions): Promise<Schemas["Card"]> {
    return this.#call("POST", ["info"], options, token);
  }

  /** Reads a card of a customer. */
  customerCard(customerId: string, cardId: string, options?: CallOptions): Promise<Schemas["CustomerCardState"]> {
    return this.#call("GET", ["customers", customerId, "cards", cardId], options);
  }

  /** Puts money on a card, takes it off, or locks it. */
  transact(txn: WithoutRefID<Schemas["TransactionCreate"]>, options?: CallOptions): Promise<Schemas["Transaction"]> {
    return this.#callOnce(["transactions"], options, txn);
  }

  /** Takes what a pending transaction locks, or a part of it. */
  capture(
    transactionId: string, capture: WithoutRefID<Schemas["CaptureBody"]> = {}, options?: CallOptions,
  ): Promise<Schemas["Transaction"]> {
    return this.#callOnce(["transactions", transactionId, "capture"], options, capture);
  }

  /** Releases what a pending transaction still locks. */
  void(
    transactionId: string, body: WithoutRefID<Schemas["VoidBody"]> = {}, options?: CallOptions,
  ): Promise<Schemas["Transaction"]> {
    return this.#callOnce(["transactions", transactionId, "void"], options, body);
  }

  /** Lists the whole history of a card, the oldest first. */
  transactions(cardId: string, options?: CallOptions): Promise<Schemas["Transaction"][]> {
    return this.#call("GET", ["cards", cardId, "transactions"], options);
  }

  /** Walks through the cards that a filter finds, the newest first, and asks for the next page when it is needed. */
  async *cards(filter: CardFilter = {}, options?: CallOptions): AsyncGenerator<Schemas["Card"], void, undefined> {
    let query: CardFilter = { limit: pageSize, ...filter };
    for (;;) {
      const page = await this.#call<Schemas["CardList"]>("GET", ["cards"], options, undefined, query);
      yield* page.cards;
      if (page.starting_after === undefined) {
        return;
      }
      query = { ...query, starting_after: page.starting_after };
    }
  }

  /** Walks through the cards of a customer, the newest first. */
  async *customerCards(customerId: string, options?: CallOptions): AsyncGenerator<Schemas["CustomerCard"], void, undefined> {
    let after: string | undefined;
    for (;;) {
      const page = await this.#call<Schemas["CustomerCard"][]>("GET", ["customers", customerId, "cards"], options, undefined, {
        limit: pageSize, starting_after: after,
      });
      yield* page;
      if (page.length < pageSize) {
        return;
      }
      after = page.at(-1)?.id;
    }
  }

  /** A call with a ref_id: the caller's, or a new one. */
  #callOnce<T>(path: string[], options: CallOptions | undefined, body: { ref_id?: string }): Promise<T> {
    const refId = body.ref_id ?? crypto.randomUUID();
    return this.#call<T>("POST", path, options, { ...body, ref_id: refId }, {}, refId);
  }

  #call<T>(
    method: string, path: string[], options: CallOptions | undefined, body?: object, query: Query = {}, refId?: string,
  ): Promise<T> {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(query)) {
      for (const item of Array.isArray(value) ? value : [value]) {
        if (item !== undefined) {
          search.append(name, String(item));
        }
      }
    }
    const url = [this.#base, ...path.map(encodeURIComponent)].join("/") + (search.size > 0 ? `?${search}` : "");
    return send<T>(this.#sender, {
      method, url, refId, body: body && JSON.stringify(body), signal: options?.signal,
    });
  }
}
