//! Lines of an access log as a gateway writes them.

use shared::access_log::{Event, Outcome, Request, line};
use shared::model::Day;

/// So many lines, each of two stores: the first of 457, asked for as often as 1 ÷ rank, the second of 31.
pub(crate) fn sample(lines: usize) -> Vec<u8> {
    let documents = [
        ("/v1/metrics/overview", "overview"),
        ("/v1/metrics/trend", "trend"),
        ("/v1/diagnosis", "diagnosis"),
        ("/v1/metrics/products", "products"),
    ];
    let mut random = Random::new(1);
    let mut text = Vec::new();
    for number in 0..lines {
        let (path, kind) = documents[number % documents.len()];
        let stores = [format!("{}", 1000 + random.rank(457)), format!("{}", 1000 + number % 31)];
        let mut request = Request {
            time: 1_795_243_609_123 + number as i64 * 100,
            request_id: Some(format!("5f0c8c1e-8d9a-4d5c-9e0b-{number:012}")),
            token: Some("ba7816bf8f01".to_owned()),
            method: "GET".into(),
            kind: Some(kind),
            last_day: Some(Day(20_000)),
            status: 200,
            outcome: Outcome::L3,
            bytes: 1234,
            duration_us: Some(number as u64 % 5000),
            instance: Some("127.0.0.1:8080".to_owned()),
            ..Request::default()
        };
        request.set_target(path, &format!("stores={}&from=2024-09-28&to=2024-10-04", stores.join(",")));
        request.set_stores(&stores);
        line::write(&Event::Request(request), &mut text).unwrap();
    }
    text
}

/// xorshift64 (Marsaglia 2003).
pub(crate) struct Random(u64);

impl Random {
    /// Any seed but 0.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A rank from 0 to `ranks` − 1, as likely as 1 ÷ (rank + 1), about.
    pub(crate) fn rank(&mut self, ranks: u64) -> u64 {
        let even = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((((ranks + 1) as f64).ln() * even).exp() as u64 - 1).min(ranks - 1)
    }
}
