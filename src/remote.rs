//! What a server of ours says to a command that asks it.

use anyhow::bail;
use reqwest::{Response, Url};

/// The answer, or the reason that the server gives for having none; `asked` names it in the error.
pub(crate) async fn usable(answer: Response, asked: &Url) -> anyhow::Result<Response> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let problem: serde_json::Value = answer.json().await.unwrap_or_default();
    bail!("{asked} answered {status}: {}", problem["detail"].as_str().unwrap_or("no reason given"));
}
