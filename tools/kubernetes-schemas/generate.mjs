// Makes the JSON schemas that the tests validate rendered objects against: npm install && npm run generate.
// They are the published types of Kubernetes and of the custom resources that the chart uses, strict (an unknown
// property is an error) and without status, which nobody writes by hand.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createGenerator } from "ts-json-schema-generator";

const target = new URL("../../src/test/resources/kubernetes/", import.meta.url).pathname;
const sources = {
  core: {
    Deployment: "kubernetes-models/apps/v1/Deployment",
    Service: "kubernetes-models/v1/Service",
    ServiceAccount: "kubernetes-models/v1/ServiceAccount",
    ConfigMap: "kubernetes-models/v1/ConfigMap",
    Pod: "kubernetes-models/v1/Pod",
    PersistentVolumeClaim: "kubernetes-models/v1/PersistentVolumeClaim",
    PodDisruptionBudget: "kubernetes-models/policy/v1/PodDisruptionBudget",
    HorizontalPodAutoscaler: "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler",
    NetworkPolicy: "kubernetes-models/networking.k8s.io/v1/NetworkPolicy",
    Ingress: "kubernetes-models/networking.k8s.io/v1/Ingress",
    Job: "kubernetes-models/batch/v1/Job",
    Role: "kubernetes-models/rbac.authorization.k8s.io/v1/Role",
    RoleBinding: "kubernetes-models/rbac.authorization.k8s.io/v1/RoleBinding",
  },
  "prometheus-operator-servicemonitor": {
    ServiceMonitor: "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor",
  },
  "prometheus-operator-prometheusrule": {
    PrometheusRule: "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule",
  },
  "gateway-api": { HTTPRoute: "@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute" },
  keda: { ScaledObject: "@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject" },
};

function referenced(value, found) {
  if (Array.isArray(value)) value.forEach((item) => referenced(item, found));
  else if (value && typeof value === "object") {
    if (typeof value.$ref === "string") found.push(value.$ref.replace("#/definitions/", ""));
    Object.values(value).forEach((item) => referenced(item, found));
  }
  return found;
}

function reachable(definitions, roots) {
  const kept = {};
  const open = [...roots];
  while (open.length > 0) {
    const name = open.pop();
    if (!(name in kept)) {
      kept[name] = definitions[name];
      open.push(...referenced(definitions[name], []));
    }
  }
  return Object.fromEntries(Object.entries(kept).sort(([a], [b]) => (a < b ? -1 : 1)));
}

mkdirSync(target, { recursive: true });
for (const [file, kinds] of Object.entries(sources)) {
  const program = new URL(`${file}.generated.ts`, import.meta.url).pathname;
  const imports = Object.entries(kinds).map(([kind, from]) => `import type { I${kind} } from "${from}";`);
  const members = Object.keys(kinds).map((kind) => `${kind}: I${kind};`);
  writeFileSync(program, `${imports.join("\n")}\nexport interface All { ${members.join(" ")} }\n`);
  const { definitions } = createGenerator({ path: program, type: "All", expose: "all", jsDoc: "none", skipTypeCheck: true }).createSchema("All");
  rmSync(program);
  for (const kind of Object.keys(kinds)) {
    delete definitions[`I${kind}`].properties.status;
    definitions[kind] = definitions[`I${kind}`];
  }
  const schema = {
    $schema: "http://json-schema.org/draft-07/schema#",
    definitions: reachable(definitions, Object.keys(kinds)),
  };
  // A definition a line: small, and a new version of Kubernetes shows as a diff that can be read.
  const lines = Object.entries(schema.definitions).map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  writeFileSync(`${target}${file}.json`, `{"$schema":"${schema.$schema}","definitions":{\n${lines.join(",\n")}\n}}\n`);
}
