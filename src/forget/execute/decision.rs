//! Decide once, store, obey: the decision on a record is durable before it is carried out, and every redo
//! obeys it.

use super::context::Context;
use super::error::ExecuteError;
use super::request::Request;
use crate::forget::decide::decision::{Decidable, Decision};
use crate::keys::Stored;
use crate::model::Digest;

/// The next step for a record.
pub(super) enum Turn<T> {
    /// Carry this out, or continue with it.
    Obey(T),
    /// Do nothing: the same bytes are at an earlier offset of the topic, with their receipt.
    Copy,
    /// Do nothing: there is nothing to decide.
    Nothing,
}

/// The proposal for a record that was not decided yet.
pub(super) enum Offer<T> {
    /// It was decided under another name.
    Before(Decision<T>),
    New(New<T>),
    /// There is nothing to decide, and nothing is stored.
    Nothing,
}

/// A decision that is not stored yet.
pub(super) struct New<T> {
    /// The name to store it under.
    pub digest: Digest,
    /// Nothing else may be decided under this id.
    pub id: String,
    pub made: T,
    /// The decision if another one was stored under the id. It is not stored, because each redo reaches it
    /// again. `None` for records whose ids are all different.
    pub if_id_is_taken: Option<T>,
}

/// Reads the stored decision on a request. If there is none, runs `decide` and stores its offer. Returns the
/// stored decision, or `if_id_is_taken` if the store has another decision under the id.
///
/// A stored decision always counts, even if `decide` would offer another one now: work that was begun is
/// finished.
///
/// # Errors
/// [`ExecuteError`]: ask again later.
pub(super) async fn decide_once<T: Decidable>(
    ctx: &Context,
    request: &Request,
    asked: &T::Asked,
    decide: impl Future<Output = Result<Offer<T>, ExecuteError>>,
) -> Result<Turn<T>, ExecuteError> {
    let decision = match stored(ctx, request.digest, asked).await? {
        Some(before) => before,
        None => match decide.await? {
            Offer::Before(before) => before,
            Offer::New(new) => store(ctx, request.offset, asked, new).await?,
            Offer::Nothing => return Ok(Turn::Nothing),
        },
    };
    Ok(if decision.offset < request.offset { Turn::Copy } else { Turn::Obey(decision.made) })
}

/// Reads the decision that is stored under a name.
pub(super) async fn stored<T: Decidable>(
    ctx: &Context,
    digest: Digest,
    asked: &T::Asked,
) -> Result<Option<Decision<T>>, ExecuteError> {
    let body = ctx.store.verdict(digest).await?;
    body.map(|body| T::parse(&body, asked).ok_or(ExecuteError::Verdict(digest))).transpose()
}

async fn store<T: Decidable>(
    ctx: &Context,
    offset: i64,
    asked: &T::Asked,
    new: New<T>,
) -> Result<Decision<T>, ExecuteError> {
    let New { digest, id, made, if_id_is_taken } = new;
    let decision = Decision { offset, made };
    match ctx.store.store_verdict(digest, &id, &T::to_json(&decision)).await? {
        Stored::New => {
            T::after_storing();
            Ok(decision)
        }
        Stored::Before(body) => T::parse(&body, asked).ok_or(ExecuteError::Verdict(digest)),
        Stored::IdReuse => {
            let made = if_id_is_taken.ok_or(ExecuteError::Verdict(digest))?;
            Ok(Decision { offset, made })
        }
    }
}
