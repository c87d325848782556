//! Bodies of `POST /v1/refresh`, and the problem documents that repeat what a client sent.

use gateway::problem::Problem;
use gateway::refresh::Wish;
use serde_json::{Value, json};
use shared::answers::parameters::ParameterError;
use shared::model::query::{MAX_DAYS, MAX_STORES};

/// Takes a body. What is a wish keeps its limits, and is read again from its own fields as the same; what is none gets a
/// problem document. The bytes as a text within a problem make a document that holds that text.
pub fn check(data: &[u8]) {
    match Wish::read(data) {
        Ok(wish) => sound(&wish),
        Err(problem) => {
            assert!(matches!(problem.status.as_u16(), 400 | 422), "{problem:?}");
            document(&problem, "r-1");
        }
    }
    let text = String::from_utf8_lossy(data);
    let repeated = [
        Problem::unknown_path(&text),
        Problem::unknown_store(&text),
        Problem::bad_body(text.as_ref()),
        Problem::parameters(vec![ParameterError { parameter: text.to_string(), reason: text.to_string() }]),
        Problem::others_stores(&[&text.to_string()]),
    ];
    for problem in repeated {
        document(&problem, &text);
    }
}

fn sound(wish: &Wish) {
    if let Some(stores) = &wish.stores {
        assert!((1..=MAX_STORES).contains(&stores.len()));
        assert!(stores.is_sorted_by(|a, b| a < b) && !stores.iter().any(String::is_empty));
    }
    if let (Some(from), Some(to)) = (wish.from, wish.to) {
        assert!((1..=MAX_DAYS).contains(&(to.since(from) + 1)));
    }
    let body = json!({ "stores": wish.stores, "from": wish.from, "to": wish.to }).to_string();
    assert_eq!(Wish::read(body.as_bytes()).as_ref(), Ok(wish));
}

/// The document is JSON, and every text in it is what it was made of.
fn document(problem: &Problem, request_id: &str) {
    let body = problem.body(request_id);
    let document: Value = serde_json::from_str(&body).expect("a problem document is JSON");
    assert_eq!(document["status"], problem.status.as_u16());
    assert_eq!(document["detail"], problem.detail.as_str());
    assert_eq!(document["request_id"], request_id);
    assert!(!problem.detail.is_empty() || request_id.is_empty());
    for (at, error) in problem.errors.iter().enumerate() {
        assert_eq!(document["errors"][at]["parameter"], error.parameter.as_str());
        assert_eq!(document["errors"][at]["reason"], error.reason.as_str());
    }
}
