//! Answers of a server with a model, against what its own description says of them.

use crate::support::{Server, import_and_train};
use serde_json::{Value, json};

/// What is wrong with `value`, if anything is, by a schema of `document`.
fn flaw(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#'));
        return flaw(document, target.expect("a definition"), value, at);
    }
    for choice in ["oneOf", "anyOf"] {
        if let Some(schemas) = schema[choice].as_array() {
            let fits = schemas
                .iter()
                .any(|schema| flaw(document, schema, value, at).is_none());
            return (!fits).then(|| format!("{at} is none of its {choice}: {value}"));
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        return parts
            .iter()
            .find_map(|part| flaw(document, part, value, at));
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => return None,
    };
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fits = types.contains(&is) || (is == "integer" && types.contains(&"number"));
    if !fits {
        return Some(format!("{at} is {is} and should be {types:?}"));
    }
    match value {
        Value::Array(values) => {
            let mut values = values.iter();
            values.find_map(|value| flaw(document, &schema["items"], value, &format!("{at}[]")))
        }
        Value::Object(fields) => {
            let required = schema["required"].as_array().into_iter().flatten();
            let missing = required
                .filter_map(Value::as_str)
                .find(|name| !fields.contains_key(*name));
            if let Some(name) = missing {
                return Some(format!("{at} lacks {name}"));
            }
            let properties = schema["properties"].as_object()?;
            fields
                .iter()
                .find_map(|(name, value)| match properties.get(name) {
                    Some(schema) => flaw(document, schema, value, &format!("{at}.{name}")),
                    None => Some(format!("{at}.{name} is not described")),
                })
        }
        _ => None,
    }
}

#[test]
fn answers_have_the_fields_that_are_described_and_no_other() {
    let mut csv = String::from("user_id,item_id\n");
    for user in 0..20 {
        for item in 0..10 {
            if (user + 2 * item) % 3 != 0 {
                csv.push_str(&format!("u{user},i{item}\n"));
            }
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    import_and_train(&data, &csv, &["--dim", "16"]);
    let server = Server::start(&data);
    let document = server.get("/openapi.json").json();
    let trained = server.model();
    let erasure = server.delete("/interactions?user=u1");
    let id = erasure.json()["id"].as_str().expect("an id").to_owned();
    let certified = server.until_erasure(&id, &["certified"]);
    let rows = json!({"interactions": [{"user": "u2", "item": "i1"}, {"user": "u2"}]});
    let said = json!({"properties": {"city": "Turin", "age": 41, "member": true}}).to_string();
    let said = server.send("PUT", "/users/u2", Some(&said), &[]).json();
    let export = |method, path, body| {
        let json = [("accept", "application/json")];
        server.send(method, path, body, &json).json()
    };
    let answers = [
        ("/users/{id}", "put", "200", said),
        ("/users/{id}", "get", "200", server.get("/users/u2").json()),
        (
            "/users/{id}/restriction",
            "put",
            "202",
            server
                .send("PUT", "/users/u3/restriction", None, &[])
                .json(),
        ),
        (
            "/export",
            "get",
            "200",
            export("GET", "/export?user=u3", None),
        ),
        (
            "/users/{id}/restriction",
            "delete",
            "202",
            server.delete("/users/u3/restriction").json(),
        ),
        (
            "/restrictions/lift",
            "post",
            "202",
            server
                .post("/restrictions/lift", &json!({"users": ["u3"]}))
                .json(),
        ),
        ("/users", "get", "200", server.get("/users?limit=3").json()),
        ("/model", "get", "200", trained),
        ("/model", "get", "200", server.model()),
        ("/webhooks", "get", "200", server.get("/webhooks").json()),
        ("/cluster", "get", "200", server.get("/cluster").json()),
        ("/interactions", "delete", "202", erasure.json()),
        (
            "/interactions",
            "post",
            "202",
            server.post("/interactions", &rows).json(),
        ),
        ("/erasures/{id}", "get", "200", certified),
        ("/erasures", "get", "200", server.get("/erasures").json()),
        (
            "/recommend",
            "get",
            "200",
            server.get("/recommend?user=u2").json(),
        ),
        (
            "/recommend",
            "get",
            "200",
            server.get("/recommend?user=u2&explain=true").json(),
        ),
        (
            "/recommend",
            "get",
            "200",
            server.get("/recommend?user=nobody").json(),
        ),
        (
            "/similar",
            "get",
            "200",
            server.get("/similar?item=i1").json(),
        ),
        (
            "/popular",
            "get",
            "200",
            server.get("/popular?window=7d").json(),
        ),
        ("/trending", "get", "200", server.get("/trending").json()),
        ("/latest", "get", "200", server.get("/latest").json()),
        (
            "/export",
            "get",
            "200",
            export("GET", "/export?user=u2", None),
        ),
        (
            "/export",
            "post",
            "200",
            export("POST", "/export", Some(r#"{"user":"u2"}"#)),
        ),
        ("/healthz", "get", "200", server.get("/healthz").json()),
        ("/readyz", "get", "200", server.get("/readyz").json()),
    ];
    for (path, method, status, answer) in &answers {
        let schema = &document["paths"][path][method]["responses"][status]["content"]["application/json"]
            ["schema"];
        assert!(
            schema.is_object(),
            "{method} {path}: {status} is not described"
        );
        let found = flaw(&document, schema, answer, "the answer");
        assert_eq!(found, None, "{method} {path}: {answer}");
    }
}
