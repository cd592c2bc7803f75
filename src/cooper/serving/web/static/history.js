// Questions asked and their answers, kept in this browser only (IndexedDB).

const [NAME, STORE, MOST, MOST_BYTES] = ["cooper", "asked", 40, 128 * 1024 * 1024];

function opened() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function within(kind, act) {
  const database = await opened();
  try {
    return await new Promise((resolve, reject) => {
      const change = database.transaction(STORE, kind);
      const request = act(change.objectStore(STORE));
      change.oncomplete = () => resolve(request.result);
      change.onerror = change.onabort = () => reject(change.error);
    });
  } finally {
    database.close();
  }
}

const sizeOf = (entry) => entry.answers.reduce((sum, answer) => sum + (answer.zip?.size ?? 0) + (answer.cloud?.size ?? 0), entry.picture.size);

/** Keeps an entry, and drops the oldest where there are too many or they are too large. */
export async function keep(entry) {
  await within("readwrite", (store) => store.add(entry));
  let [count, bytes] = [0, 0];
  for (const one of await kept()) {
    count += 1;
    bytes += sizeOf(one);
    if (count > MOST || (count > 1 && bytes > MOST_BYTES)) await drop(one.id);
  }
}

/** All entries, the newest first. */
export const kept = async () => (await within("readonly", (store) => store.getAll())).reverse();
export const drop = (id) => within("readwrite", (store) => store.delete(id));
export const dropAll = () => within("readwrite", (store) => store.clear());
