//! Writing a list that was served back as feedback, so that its items leave the next one.

use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::feedback_rows::named;
use super::query::Query;
use super::refusal::Refusal;
use super::shared::Shared;
use crate::config::Role;
use crate::http::access::forbidden;
use crate::http::caller::Caller;
use crate::http::known_feedback::KnownFeedback;
use crate::http::problem::Problem;
use recant_service::{Service, ServiceError};
use recant_types::{
    FeedbackType, Interaction, ItemId, UnixMillis, UserId, span_of, timestamp_of_millis,
};

/// Longest that a list may wait: it is in memory meanwhile, with whom it was served to.
const DELAY_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// What is to be written, and when.
pub(super) struct WriteBack {
    feedback: FeedbackType,
    delay: Duration,
}

impl WriteBack {
    /// What the query asks for, if the caller may write.
    pub(super) fn asked_for(
        query: &Query,
        caller: &Caller,
        known: &KnownFeedback,
    ) -> Result<Option<Self>, Refusal> {
        let delay = query.text("write-back-delay").map(delay).transpose()?;
        let Some(name) = query.text("write-back-type") else {
            return Ok(None);
        };
        if !caller.may_write() {
            return Err(forbidden(Role::Write).into());
        }
        Ok(Some(Self {
            feedback: named(name, known).map_err(Refusal::invalid)?,
            delay: delay.unwrap_or_default(),
        }))
    }

    /// The same with a place among those that wait, if it has to, and the time of the call.
    pub(super) fn place(self, shared: &Shared) -> Result<Placed, Refusal> {
        let place = if self.delay.is_zero() {
            None
        } else {
            let place = shared.waiting.clone().try_acquire_owned();
            Some(place.map_err(|_| Problem::overloaded())?)
        };
        let asked_at = UnixMillis::now();
        Ok(Placed {
            what: self,
            place,
            asked_at,
        })
    }
}

/// A list to write back that has a place.
pub(super) struct Placed {
    what: WriteBack,
    place: Option<OwnedSemaphorePermit>,
    asked_at: UnixMillis,
}

impl Placed {
    /// Writes `items` back for `user`: durable on return when there is no delay. Else they wait in
    /// memory. Their time is that of the call, so that an erasure which comes after it holds them back.
    pub(super) async fn write(
        self,
        service: &Service,
        user: &UserId,
        items: &[ItemId],
    ) -> Result<(), ServiceError> {
        let asked_at = timestamp_of_millis(self.asked_at.0);
        let served = items.iter().map(|item| Interaction {
            user: user.clone(),
            item: item.clone(),
            feedback: self.what.feedback.clone(),
            weight: 1.0,
            timestamp: Some(asked_at),
        });
        let served = served.collect();
        let Some(place) = self.place else {
            return service.add(served).await.map(drop);
        };
        let (service, delay) = (service.clone(), self.what.delay);
        tokio::spawn(async move {
            let _place = place;
            tokio::time::sleep(delay).await;
            if let Err(error) = service.add(served).await {
                tracing::warn!(%error, "a list that was served could not be written back");
            }
        });
        Ok(())
    }
}

/// A length of time as Go writes it.
fn delay(text: &str) -> Result<Duration, Refusal> {
    let delay = span_of(text).ok().filter(|delay| *delay <= DELAY_MAX);
    let flaw = "invalid write-back-delay parameter: give a time like 10m or 1h30m, at most 24h";
    delay.ok_or_else(|| Refusal::invalid(flaw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_as_go_writes_them() {
        for (text, seconds) in [("10m", 600), ("1h30m", 5_400), ("1.5h", 5_400), ("0s", 0)] {
            let read = delay(text).expect(text);
            assert_eq!(read, Duration::from_secs(seconds), "{text}");
        }
        assert_eq!(delay("500ms").expect("half a second").as_millis(), 500);
        for bad in ["-10m", "ten", "10", "25h", "1 month"] {
            assert!(delay(bad).is_err(), "{bad}");
        }
    }
}
