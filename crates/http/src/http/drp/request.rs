//! The request that an id stands for.

use super::access::AccessRequest;
use super::agents::{Agent, Agents};
use super::refusal::Refusal;
use super::requester::Requester;
use crate::http::state::AppState;
use recant_types::{ErasureId, ErasureRecord};

/// What an agent asked for.
pub(super) enum Request {
    /// That somebody is erased, which this records.
    Deletion(Box<ErasureRecord>),
    /// To see what is held of somebody.
    Access(AccessRequest),
}

impl Request {
    /// The request with this id, when this agent made it. Another's looks like one that there is not.
    pub(super) async fn of(
        state: &AppState,
        agents: &Agents,
        agent: &Agent,
        id: &str,
    ) -> Result<Self, Refusal> {
        let service = state.service()?;
        let found = match ErasureId::parse(id) {
            Some(id) => service.erasure(id).await?.map(Box::new).map(Self::Deletion),
            None => AccessRequest::open(id, agents.sealer(service).await?).map(Self::Access),
        };
        found
            .filter(|request| request.agent() == Some(&agent.id))
            .ok_or(Refusal::forbidden("this agent made no such request"))
    }

    /// Who made it; `None` for an erasure that no agent requested.
    fn agent(&self) -> Option<&str> {
        match self {
            Self::Deletion(record) => {
                let requester = record.requested_by.as_deref().and_then(Requester::parse);
                requester.map(|requester| requester.agent)
            }
            Self::Access(request) => Some(&request.agent),
        }
    }
}
