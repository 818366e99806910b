/**
 * `open` at the first call, what it gave at every later one; an attempt that throws doesn't count. For what a thread opens
 * of libraries in C: each foreign function leaves types that are only freed with the thread.
 */
export function openOnce<Opened>(open: () => Opened): () => Opened {
  let opened: { readonly value: Opened } | null = null;
  return () => {
    opened ??= { value: open() };
    return opened.value;
  };
}
