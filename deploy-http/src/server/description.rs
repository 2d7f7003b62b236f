//! What the tests of both APIs ask of their descriptions.

use serde_json::Value;

use crate::wire::route::Listed;

/// The description has these routes, with their scopes, and no others.
pub(super) fn assert_routes_described<R: Listed>(description: &str) {
    let document: Value = serde_json::from_str(description).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let paths = document["paths"].as_object().unwrap();
    for &route in R::ALL {
        let method = route.method().to_ascii_lowercase();
        let operation = &paths[route.path()][method.as_str()];
        let scope = format!("{:?}", route.scope()).to_ascii_lowercase();
        assert_eq!(operation["x-scope"], scope, "{route:?}");
        for status in ["401", "403"] {
            assert!(operation["responses"][status].is_object(), "{route:?} {status}");
        }
    }
    let methods = paths.values().map(|path| {
        let keys = path.as_object().unwrap().keys();
        keys.filter(|key| *key != "parameters").count()
    });
    assert_eq!(methods.sum::<usize>(), R::ALL.len());
}

/// Holds a document against a schema of the description, as far as that goes: types, the texts that
/// are allowed, and which keys there are and have to be.
pub(super) fn assert_described(description: &Value, schema: &Value, found: &Value, at: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let schema = description.pointer(name.trim_start_matches('#')).unwrap();
        return assert_described(description, schema, found, at);
    }
    if let Some(ways) = schema["oneOf"].as_array() {
        let way = ways.iter().find(|way| match found {
            Value::Null => way["type"] == "null",
            found => way["type"].is_null() == found.is_string(),
        });
        return assert_described(description, way.unwrap(), found, at);
    }
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(found), "{at}: {found} is none of {allowed:?}");
    }
    let fits = match schema["type"].as_str() {
        Some("object") => found.is_object(),
        Some("array") => found.is_array(),
        Some("string") => found.is_string(),
        Some("integer") => found.is_u64(),
        Some("boolean") => found.is_boolean(),
        Some("null") => found.is_null(),
        other => other.is_none(),
    };
    assert!(fits, "{at}: {found} is no {}", schema["type"]);
    for entry in found.as_array().into_iter().flatten() {
        assert_described(description, &schema["items"], entry, at);
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        assert!(!found[key.as_str().unwrap()].is_null(), "{at} has no {key}");
    }
    for (key, value) in found.as_object().into_iter().flatten() {
        let schema = match &schema["properties"][key] {
            Value::Null if schema["additionalProperties"] == false => {
                panic!("{at}: {key} is not described")
            }
            schema => schema,
        };
        assert_described(description, schema, value, &format!("{at}.{key}"));
    }
}

#[test]
fn every_type_of_problem_is_described() {
    let descriptions = [include_str!("agent_openapi.json"), include_str!("control_openapi.json")];
    for kind in crate::wire::problem::ProblemKind::ALL {
        let described = descriptions.iter().any(|text| text.contains(kind.uri()));
        assert!(described, "{kind:?}");
    }
}
