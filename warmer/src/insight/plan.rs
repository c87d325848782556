//! `warmer plan`: what would be kept, and why, without doing it.

use clap::Args;
use shared::config::Settings;

use super::{Output, directory, learned_now, levels_of, plan_now};
use crate::operate::words;
use shared::published::PlanRecord;

/// The command line.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  warmer plan\n  warmer plan --top 200\n  warmer plan --output json | jq '.decisions[] | select(.ready)'\n\n\
                  Made of the state folder, the access logs, the directory and the room in Redis; nothing is written. `worth` is\n\
                  requests expected per hour × milliseconds that a miss costs ÷ bytes."
)]
pub struct PlanArgs {
    /// Stores and questions that are shown
    #[arg(long, value_name = "NUMBER", default_value_t = 30)]
    top: usize,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Runs the command; gives what is to be printed.
///
/// # Errors
/// If neither Redis nor the source says which stores there are, or a log pattern is no glob.
pub async fn run(settings: &Settings, args: &PlanArgs) -> anyhow::Result<String> {
    let levels = levels_of(settings)?;
    let directory = directory(settings, &levels).await?;
    let learned = learned_now(settings)?;
    let (plan, _) = plan_now(settings, &levels, &learned, directory).await?;
    Ok(match args.output {
        Output::Text => of(&plan.record, args.top),
        Output::Json => serde_json::to_string_pretty(&plan.record)?,
    })
}

fn of(record: &PlanRecord, top: usize) -> String {
    let kept = record.decisions.iter().filter(|decision| decision.reason.admits()).count();
    let ready = record.decisions.iter().filter(|decision| decision.ready).count();
    let (hot, orders) = (
        record.stores.iter().filter(|store| store.hot).count(),
        record.stores.iter().filter(|store| store.lines_reason.admits()).count(),
    );
    let basis =
        if record.from_log { "the access logs" } else { "the sizes of stores: no access log told anything" };
    let mut out = format!(
        "plan from {basis}\n\
         budget      {} of {} used, {} documents and {} ready responses at most\n\
         questions   {kept} of {} kept, {ready} of them as ready responses\n\
         stores      {hot} of {} hot, order lines of {orders} kept\n\n",
        words::size(record.bytes),
        words::size(record.budget.bytes),
        record.budget.answers,
        record.budget.hot_answers,
        record.decisions.len(),
        record.stores.len(),
    );
    let stores = record.stores.iter().take(top).enumerate().map(|(at, store)| {
        [
            (at + 1).to_string(),
            format!("{:.2}", store.heat),
            store.lines.to_string(),
            format!("{:.2}", store.lines_heat),
            words::size(store.lines_bytes),
            if store.hot { "hot".to_owned() } else { "cold".to_owned() },
            store.store_id.clone(),
            store.lines_reason.to_string(),
        ]
    });
    let headings = ["#", "heat", "lines", "raw heat", "raw bytes", "", "store", "order lines"];
    out.push_str(&words::table(headings, 0..5, stores.collect()));
    out.push_str("\n\n");
    let questions = record.decisions.iter().take(top).map(|decision| {
        [
            format!("{:.4}", decision.worth),
            format!("{:.2}", decision.heat),
            format!("{:.2}", decision.per_hour),
            format!("{:.1}", decision.cost_ms),
            words::size(decision.bytes),
            if decision.ready { "L4".to_owned() } else { String::new() },
            shortened(&decision.relative),
            decision.reason.to_string(),
        ]
    });
    let headings = ["worth", "heat", "per hour", "ms", "bytes", "", "question", "why"];
    if record.decisions.is_empty() {
        out.push_str("questions: none are known\n");
    } else {
        out.push_str(&words::table(headings, 0..5, questions.collect()));
    }
    out
}

/// Characters of a question that a table shows.
const SHOWN: usize = 80;

fn shortened(question: &str) -> String {
    match question.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &question[..at]),
        None => question.to_owned(),
    }
}
