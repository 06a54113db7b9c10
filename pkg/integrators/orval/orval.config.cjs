// Settings of orval. Without urlEncodeParameters it would put ids into paths as they are.
module.exports = {
  kort: {
    input: "../../../openapi/kort.yaml",
    output: {
      target: "generated/kort.ts",
      client: "fetch",
      urlEncodeParameters: true,
      override: { mutator: { path: "./send.ts", name: "send", extension: ".js" } },
    },
  },
};
