"use strict";

// The page of the reference. All addresses are relative to it, so that it works behind a proxy that puts the server
// under a path, and so that requests go to the server that the page came from and to no other.

const tryIt = document.currentScript.dataset.tryIt === "true";

// `kort sandbox` and `kort serve --dev` print an address with an account and an access token behind the #, which no
// browser sends to any server.
const given = new URLSearchParams(location.hash.slice(1));

// fitted is the contract as it suits this page.
function fitted(contract) {
  const spec = structuredClone(contract);
  spec.servers = [{ url: new URL("v1", location.href).href }];
  const { description } = spec.components.securitySchemes.JWT;
  // The dialogue for a token has a field for the token itself: there is no address here that issues any. Where nothing
  // is sent, nobody is asked for one.
  spec.components.securitySchemes.JWT = { type: "http", scheme: "bearer", bearerFormat: "JWT", description };
  if (!tryIt) {
    delete spec.components.securitySchemes;
  }
  if (given.has("account")) {
    spec.components.parameters.AidPath.example = given.get("account");
  }
  for (const item of Object.values(spec.paths)) {
    for (const operation of Object.values(item)) {
      if (!operation.security) {
        continue;
      }
      // A bearer scheme shows no scopes.
      const scopes = operation.security.flatMap((alternative) => alternative.JWT).map((scope) => `\`${scope}\``);
      operation.description += `\n\nOpened by any one of the scopes ${scopes.join(", ")}.`;
      if (!tryIt) {
        delete operation.security;
      }
    }
  }
  return spec;
}

window.ui = SwaggerUIBundle({
  url: new URL("openapi.yaml", location.href).href,
  dom_id: "#reference",
  presets: [SwaggerUIBundle.presets.apis],
  plugins: [
    { statePlugins: { spec: { wrapActions: { updateJsonSpec: (update) => (contract) => update(fitted(contract)) } } } },
  ],
  supportedSubmitMethods: tryIt ? ["get", "post", "delete"] : [],
  tryItOutEnabled: false,
  validatorUrl: null,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  onComplete: () => {
    if (tryIt && given.has("token")) {
      window.ui.preauthorizeApiKey("JWT", given.get("token"));
    }
  },
});
