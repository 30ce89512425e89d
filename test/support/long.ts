/** `npm run test:long`: every seed, kill and changed byte, where `npm test` takes some of them. */
const LONG = process.env.ARTIFACT_STORE_TEST_LONG === '1';

/** @param usual in `npm test`, and for a file that is run by itself @param long in `npm run test:long` */
export function usualOrLong<Value>(usual: Value, long: Value): Value {
  return LONG ? long : usual;
}

/** Every second one in `npm test`, all in `npm run test:long`. */
export function sampled<Item>(all: readonly Item[]): readonly Item[] {
  return usualOrLong(
    all.filter((_, nth) => nth % 2 === 0),
    all,
  );
}
