"use strict";

// Swagger UI over the contract of this service, and what it does not do by itself.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();

  // A proxy may serve us below a path: requests, and the token in them, stay within it.
  const folder = new URL(".", location.href);
  const within = (request) => {
    if (new URL(request.url, folder).href.startsWith(folder.href)) return request;
    throw new Error("This is not a path of the service.");
  };

  // An optional parameter starts empty: its example would be sent with every request.
  const startEmpty = (parameter) => {
    const { required, example, examples = {}, description = "" } = parameter;
    if (required) return;
    delete parameter.example;
    delete parameter.examples;
    const shown = example ?? Object.values(examples)[0]?.value;
    if (shown === undefined) return;
    parameter.description = `${description.trimEnd()}\nFor example \`${shown}\`.`;
  };
  const withEmptyStarts = (contract) => {
    const spec = structuredClone(contract);
    spec.servers = [{ url: folder.pathname.replace(/\/$/, "") || "/" }];
    const paths = Object.values(spec.paths ?? {});
    const items = [...paths, ...paths.flatMap((path) => Object.values(path))];
    const inline = items.flatMap((item) => item.parameters ?? []);
    [...Object.values(spec.components?.parameters ?? {}), ...inline].forEach(startEmpty);
    return spec;
  };

  // An agent's token names its Node: fill it in where a Node is asked for.
  const nodeOf = (token) => {
    try {
      const claims = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
      return /^node:(.+)$/.exec(JSON.parse(atob(claims)).sub)?.[1];
    } catch {
      return undefined;
    }
  };
  const fillIn = (system, node) => {
    for (const [path, item] of Object.entries(system.specSelectors.specJson().toJS().paths)) {
      const methods = path.startsWith("/v1/nodes/{id}") ? Object.keys(item) : [];
      for (const method of methods.filter((method) => item[method].operationId)) {
        system.specActions.changeParam([path, method], "id", "path", node, false);
      }
    }
  };

  // A read is ready to be sent; what changes something asks for "Try it out" first.
  const readsAreReady = (Original) => class extends Original {
    mapStateToProps(state, props) {
      const getConfigs = () => ({ ...props.getConfigs(), tryItOutEnabled: props.method === "get" });
      return super.mapStateToProps(state, { ...props, getConfigs });
    }
  };

  const ours = () => ({
    wrapComponents: { OperationContainer: readsAreReady },
    statePlugins: {
      spec: { wrapActions: { updateJsonSpec: (go) => (spec) => go(withEmptyStarts(spec)) } },
      auth: {
        wrapActions: {
          authorize: (go, system) => (schemes) => {
            const node = Object.values(schemes).map((scheme) => nodeOf(scheme.value))[0];
            if (node) fillIn(system, node);
            return go(schemes);
          },
        },
      },
    },
  });

  SwaggerUIBundle({
    url: "v1/openapi.yaml",
    dom_id: "#docs",
    plugins: [ours],
    requestInterceptor: within,
    validatorUrl: null,
    persistAuthorization: false,
    displayRequestDuration: true,
    deepLinking: true,
    defaultModelsExpandDepth: 0,
  });

  // The token box as a dialog: it takes the focus, keeps it, and gives it back.
  let opener = null;
  const dialog = () => document.querySelector(".dialog-ux .modal-ux");
  const stops = (box) => [...box.querySelectorAll("button, input, a[href]")];
  const enter = (box) => {
    opener = document.activeElement;
    box.setAttribute("role", "dialog");
    box.setAttribute("aria-modal", "true");
    box.setAttribute("aria-label", "Token");
    (box.querySelector("input") ?? stops(box)[0]).focus();
  };
  const leave = () => {
    // The button may have been drawn anew, with its lock closed.
    (opener.isConnected ? opener : document.querySelector(".scheme-container .authorize")).focus();
    opener = null;
  };
  // A button that was pressed is out of order until the answer is there, and loses the focus.
  let pressed = null;
  const regain = () => {
    if (document.activeElement === document.body) pressed.focus({ preventScroll: true });
    pressed = null;
  };
  addEventListener("click", ({ target }) => {
    pressed = target.closest(".execute") ?? pressed;
  });

  new MutationObserver(() => {
    const box = dialog();
    if (box && !opener) enter(box);
    else if (box && !box.contains(document.activeElement)) box.querySelector(".btn-done").focus();
    else if (!box && opener) leave();
    else if (pressed && pressed.disabled === false) regain();
  }).observe(document.getElementById("docs"), {
    attributeFilter: ["disabled"],
    childList: true,
    subtree: true,
  });

  addEventListener("keydown", (event) => {
    const box = dialog();
    if (!box) return;
    const [first, last] = [stops(box)[0], stops(box).at(-1)];
    if (event.key === "Escape") {
      box.querySelector(".close-modal").click();
    } else if (event.key === "Tab" && document.activeElement === (event.shiftKey ? first : last)) {
      event.preventDefault();
      (event.shiftKey ? last : first).focus();
    }
  });
})();
