// Runs the tests in order and reports them in the Test Anything Protocol, which the runner reads.
// A test fails by throwing or by not ending in time; nothing is skipped.
import assert from 'node:assert/strict';

export const DEADLINE_MS = 15_000;

export const same = (found, expected, what) => assert.deepStrictEqual(found, expected, what);

// The value of a promise, or a failure that names what was waited for.
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${DEADLINE_MS} ms: ${what}`)), DEADLINE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Polls a condition until it holds.
export async function eventually(condition, what) {
  const end = Date.now() + DEADLINE_MS;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
    await new Promise((resume) => setTimeout(resume, 20));
  }
}

export async function run(tests, wrap) {
  const names = Object.keys(tests);
  console.log(`1..${names.length}`);
  for (const [index, name] of names.entries()) {
    try {
      await within(wrap(tests[name]), 'the test');
      console.log(`ok ${index + 1} - ${name}`);
    } catch (error) {
      process.exitCode = 1;
      console.log(`not ok ${index + 1} - ${name} # ${String(error.message ?? error).replace(/\s+/g, ' ')}`);
    }
  }
}
