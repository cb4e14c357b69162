//! Everything that can be set, in its sections.

use serde::{Deserialize, Serialize};

use super::access::AccessSettings;
use super::cluster::ClusterSettings;
use super::content::ContentSettings;
use super::drp::DrpSettings;
use super::feedback::FeedbackSettings;
use super::gorse::GorseSettings;
use super::interactions::InteractionSettings;
use super::invalid::InvalidSetting;
use super::learning::{
    CertificateSettings, LearningSettings, ModelKind, ModelSettings, TrainingSettings,
};
use super::log::LogSettings;
use super::receipts::ReceiptSettings;
use super::server::ServerSettings;
use super::store::{MasterKeySettings, StoreSettings};
use super::telemetry::TelemetrySettings;
use super::webhooks::{self, WebhookSettings};

/// Everything that can be set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The HTTP server.
    pub server: ServerSettings,
    /// The data on the disk.
    pub store: StoreSettings,
    /// Where the master key is.
    pub keys: MasterKeySettings,
    /// Interactions that arrive over HTTP.
    pub interactions: InteractionSettings,
    /// The types of feedback.
    pub feedback: FeedbackSettings,
    /// The calls that clients of gorse know.
    pub gorse: GorseSettings,
    /// The Data Rights Protocol.
    pub drp: DrpSettings,
    /// The model and its hyper-parameters.
    pub model: ModelSettings,
    /// Training from scratch.
    pub training: TrainingSettings,
    /// Learning and forgetting while serving.
    pub learning: LearningSettings,
    /// The certificate.
    pub certificate: CertificateSettings,
    /// Rows for items that nobody touched.
    pub content: ContentSettings,
    /// Receipts of erasures.
    pub receipts: ReceiptSettings,
    /// Who is told of each state of every erasure.
    pub webhooks: Vec<WebhookSettings>,
    /// Logs.
    pub log: LogSettings,
    /// Traces for OpenTelemetry.
    pub telemetry: TelemetrySettings,
    /// This node among several.
    pub cluster: ClusterSettings,
    /// Who may call what.
    pub access: AccessSettings,
}

impl Settings {
    /// Checks what the types cannot: ranges, digests, names, and what belongs together.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        self.check_values()?;
        self.cluster.check_together()?;
        if self.cluster.is_member() && self.model.kind != ModelKind::Ials {
            let problem =
                "must be single with a neural model, whose versions are not sent to other nodes";
            return Err(InvalidSetting::new("cluster.role", problem));
        }
        Ok(())
    }

    /// Checks what can be said while there may be more to come: a node's name may be given by a flag and the
    /// rest of it by a file.
    pub(super) fn check_values(&self) -> Result<(), InvalidSetting> {
        self.server.check()?;
        self.store.check()?;
        self.keys.check()?;
        self.feedback.check()?;
        self.drp.check()?;
        self.model.check()?;
        self.training.check()?;
        self.learning.check()?;
        self.certificate.check()?;
        self.content.check()?;
        self.receipts.check()?;
        webhooks::check(&self.webhooks)?;
        self.check_callbacks()?;
        self.log.check()?;
        self.telemetry.check()?;
        self.cluster.check()?;
        self.access.check()
    }

    /// Checks that the agents whose callbacks webhooks are exist.
    fn check_callbacks(&self) -> Result<(), InvalidSetting> {
        for (index, endpoint) in self.webhooks.iter().enumerate() {
            let mut agents = self.drp.agents.iter();
            if endpoint.is_callback() && !agents.any(|agent| agent.id == endpoint.drp_agent) {
                let place = format!("webhooks[{index}].drp_agent");
                let problem = "must be the id of one of [[drp.agents]]";
                return Err(InvalidSetting::new(place, problem));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DrpAgentSettings, WebhookUrl};

    #[test]
    fn the_defaults_pass_their_own_check() {
        assert_eq!(Settings::default().check(), Ok(()));
    }

    #[test]
    fn a_callback_is_that_of_an_agent() {
        let mut settings = Settings::default();
        settings.webhooks.push(WebhookSettings {
            name: String::from("agent-aa"),
            url: WebhookUrl::new("https://agent.example/status"),
            drp_agent: String::from("AA"),
            ..WebhookSettings::default()
        });
        let error = settings.check().expect_err("nobody");
        assert_eq!(error.key, "webhooks[0].drp_agent");
        settings.drp.agents.push(DrpAgentSettings {
            id: String::from("AA"),
            verify_key: String::from("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="),
        });
        assert_eq!(settings.check(), Ok(()));
    }

    #[test]
    fn a_value_out_of_range_is_named_with_its_range() {
        let mut settings = Settings::default();
        settings.store.cache_bytes = 3;
        let error = settings.check().expect_err("far too small");
        assert_eq!(error.key, "store.cache_bytes");
        assert!(error.problem.contains("from 1048576"), "{error}");
        settings = Settings::default();
        settings.log.level = String::from("recant=shouting");
        assert_eq!(settings.check().expect_err("no level").key, "log.level");
    }
}
