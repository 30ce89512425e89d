/** `npm run test:long`: every seed, kill and changed byte, where `npm test` takes some of them. */
const LONG = process.env.ARTIFACT_STORE_TEST_LONG === '1';

/** @param usual in `npm test`, and for a file that is run by itself @param long in `npm run test:long` */
export function usualOrLong<Value>(usual: Value, long: Value): Value {
  return LONG ? long : usual;
}

/** Every `nth` one, from the first on, in `npm test`; all in `npm run test:long`. */
export function sampled<Item>(all: readonly Item[], nth = 2): readonly Item[] {
  return usualOrLong(
    all.filter((_, at) => at % nth === 0),
    all,
  );
}
