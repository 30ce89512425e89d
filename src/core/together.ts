/** Whoever asks while the answer is being found out gets the same one: however many ask, it is found out once at a time. */
export function together<T>(ask: () => Promise<T>): () => Promise<T> {
  let asked: Promise<T> | null = null;
  return () => {
    asked ??= ask().finally(() => {
      asked = null;
    });
    return asked;
  };
}
