//! The description covers every call, and its page needs nothing from the internet.

use std::collections::BTreeSet;

use crate::support::TestServer;
use serde_json::Value;

/// The calls that are promised.
const CALLS: [(&str, &str); 45] = [
    ("get", "/recommend"),
    ("post", "/recommend"),
    ("get", "/similar"),
    ("post", "/similar"),
    ("get", "/popular"),
    ("post", "/popular"),
    ("get", "/trending"),
    ("post", "/trending"),
    ("get", "/latest"),
    ("post", "/latest"),
    ("get", "/items"),
    ("post", "/items"),
    ("get", "/items/{id}"),
    ("put", "/items/{id}"),
    ("patch", "/items/{id}"),
    ("delete", "/items/{id}"),
    ("get", "/users"),
    ("get", "/users/{id}"),
    ("put", "/users/{id}"),
    ("put", "/users/{id}/restriction"),
    ("delete", "/users/{id}/restriction"),
    ("post", "/restrictions"),
    ("post", "/restrictions/lift"),
    ("post", "/interactions"),
    ("delete", "/interactions"),
    ("post", "/erasures"),
    ("get", "/erasures"),
    ("get", "/erasures/{id}"),
    ("get", "/erasures/{id}/receipt"),
    ("get", "/erasures/{id}/inclusion"),
    ("get", "/receipts/checkpoint"),
    ("get", "/receipts/consistency"),
    ("get", "/receipts/settlements"),
    ("get", "/export"),
    ("post", "/export"),
    ("get", "/model"),
    ("get", "/webhooks"),
    ("get", "/cluster"),
    ("get", "/metrics"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/.well-known/jwks.json"),
    ("get", "/openapi.json"),
    ("get", "/docs"),
    ("get", "/"),
];

fn described(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().expect("paths");
    let calls = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().expect("methods").keys();
        methods.map(move |method| (method.clone(), path.clone()))
    });
    calls.collect()
}

#[test]
fn every_call_is_described_and_no_other() {
    let document = TestServer::start().get("/openapi.json").json();
    let promised = CALLS.map(|(method, path)| (method.to_owned(), path.to_owned()));
    assert_eq!(described(&document), BTreeSet::from(promised));
}

#[test]
fn every_described_call_answers() {
    let server = TestServer::start();
    let document = server.get("/openapi.json").json();
    for (method, path) in described(&document) {
        let target = path.replace("{id}", "00000000-0000-0000-0000-000000000000");
        let answer = server.call(&method.to_uppercase(), &target, &[], b"");
        assert!(
            ![404, 405, 500].contains(&answer.status),
            "{method} {path}: {answer:?}"
        );
    }
}

#[test]
fn calls_that_need_a_key_and_those_that_fail_are_described_so() {
    let document = TestServer::start().get("/openapi.json").json();
    let schemes = &document["components"]["securitySchemes"];
    assert_eq!(schemes["api_key"]["scheme"], "bearer");
    let schemas = document["components"]["schemas"].as_object();
    assert!(schemas.is_some_and(|schemas| schemas.contains_key("Problem")));
    let erase = &document["paths"]["/interactions"]["delete"];
    assert_eq!(erase["security"][0]["api_key"][0], "erase");
    let problem = &erase["responses"]["4XX"]["content"]["application/problem+json"];
    assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
}

/// Every reference points at a component that is there.
#[test]
fn the_description_is_closed() {
    let document = TestServer::start().get("/openapi.json").json();
    let text = document.to_string();
    let references = text.split("\"$ref\":\"#").skip(1);
    let mut count = 0;
    for reference in references {
        let pointer = reference.split('"').next().expect("a pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer} is nowhere");
        count += 1;
    }
    assert!(count > 10, "the calls refer to schemas");
}

#[test]
fn the_page_loads_everything_from_this_server() {
    let server = TestServer::start();
    let entry = server.get("/docs");
    assert_eq!(
        (entry.status, entry.header("location")),
        (308, Some("/docs/"))
    );
    let page = server.get("/docs/");
    assert_eq!(page.status, 200);
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("http"),
        "{policy}"
    );
    let start = server.get("/docs/swagger-initializer.js");
    for part in [&page, &start] {
        assert!(!part.text().contains("://"), "{}", part.text());
    }
    let text = start.text();
    assert!(text.contains(r#""validatorUrl": "none""#), "{text}");
    assert!(text.contains("/openapi.json"), "{text}");
    let references = ["src=\"", "href=\""];
    let names = references
        .iter()
        .flat_map(|start| page.text().split(start).skip(1));
    for name in names.filter_map(|rest| rest.split('"').next()) {
        let file = name.trim_start_matches("./");
        let answer = server.get(&format!("/docs/{file}"));
        assert_eq!(answer.status, 200, "{name}");
        assert!(!answer.body.is_empty());
    }
}

#[test]
fn what_arranges_a_list_is_described_with_its_limits() {
    let document = TestServer::start().get("/openapi.json").json();
    let fields = &document["components"]["schemas"]["RecommendRequest"]["properties"];
    let boosts = &fields["boosts"];
    assert_eq!(boosts["maxProperties"], 1_000, "{boosts}");
    let boost = &boosts["additionalProperties"];
    let of_boost = |bound: &str| boost[bound].as_f64();
    assert_eq!(
        (of_boost("minimum"), of_boost("maximum")),
        (Some(-1e6), Some(1e6))
    );
    assert_eq!(fields["pins"]["maxItems"], 100, "{fields}");
    let diversity = &fields["diversity"];
    assert_eq!(
        (&diversity["minimum"], &diversity["maximum"]),
        (&0.into(), &1.into())
    );
}

/// The schemas that `schema` is made of, with the name of the field that each is.
fn parts<'d>(document: &'d Value, name: &'d str, schema: &'d Value) -> Vec<(&'d str, &'d Value)> {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        let schema = document
            .pointer(pointer)
            .expect("the description is closed");
        return parts(document, name, schema);
    }
    let fields = schema["properties"].as_object().into_iter().flatten();
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let elements = schema.get("items").into_iter().chain(choices);
    let within = fields.map(|(name, schema)| (name.as_str(), schema));
    let within = within.chain(elements.map(|schema| (name, schema)));
    let mut all = vec![(name, schema)];
    all.extend(within.flat_map(|(name, schema)| parts(document, name, schema)));
    all
}

/// Whether a schema is of this type, null or not.
fn is_of(schema: &Value, kind: &str) -> bool {
    let kinds = &schema["type"];
    kinds == kind
        || kinds
            .as_array()
            .is_some_and(|kinds| kinds.contains(&kind.into()))
}

/// What a caller can send without being refused is in the description, so that a client made from it can
/// tell before it asks.
#[test]
fn numbers_lists_and_ids_of_requests_are_described_with_their_bounds() {
    let document = TestServer::start().get("/openapi.json").json();
    let calls = described(&document);
    let mut asked = Vec::new();
    for (method, path) in &calls {
        let call = &document["paths"][path][method];
        let bodies = call["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten();
        // A line of NDJSON is described as a row of the other kind of body, or as a text.
        let bodies = bodies.filter(|(media, _)| media.as_str() == "application/json");
        asked.extend(bodies.flat_map(|(_, body)| parts(&document, "body", &body["schema"])));
        let parameters = call["parameters"].as_array().into_iter().flatten();
        let parameters = parameters.map(|parameter| {
            let name = parameter["name"].as_str().expect("a name");
            (name, &parameter["schema"])
        });
        // These hold any number of ids, with commas between them.
        asked.extend(parameters.filter(|(name, _)| !["exclude", "allow"].contains(name)));
    }
    let bounds = |schema: &Value, names: [&str; 2]| names.map(|name| schema[name].as_u64());
    let mut checked = BTreeSet::new();
    for (name, schema) in asked {
        let expected = match name {
            "k" => [Some(1), Some(1_000)],
            "offset" => [Some(0), Some(10_000)],
            "because" => [Some(0), Some(1_000)],
            "limit" => [
                Some(1),
                Some(if schema["maximum"] == 500 { 500 } else { 1_000 }),
            ],
            _ => [None, None],
        };
        if is_of(schema, "integer") && expected[0].is_some() {
            assert_eq!(bounds(schema, ["minimum", "maximum"]), expected, "{name}");
            checked.insert(name);
        }
        if is_of(schema, "array") {
            let most = schema["maxItems"].as_u64();
            assert!(most.is_some_and(|most| most <= 10_000), "{name}: {schema}");
            checked.insert(name);
        }
        if ["user", "item", "users", "history", "exclude", "allow"].contains(&name)
            && is_of(schema, "string")
        {
            assert_eq!(
                bounds(schema, ["minLength", "maxLength"]),
                [Some(1), Some(256)],
                "{name}"
            );
            checked.insert(name);
        }
    }
    let all = [
        "k",
        "offset",
        "because",
        "limit",
        "user",
        "item",
        "users",
        "items",
        "history",
        "exclude",
        "allow",
        "tags",
        "tags_all",
        "tags_none",
        "pins",
        "interactions",
    ];
    assert_eq!(checked, BTreeSet::from(all));
}
