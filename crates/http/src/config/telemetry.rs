//! The settings of traces.

use serde::{Deserialize, Serialize};

use super::invalid::InvalidSetting;

/// Traces for OpenTelemetry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetrySettings {
    /// The collector that spans are sent to, by OTLP over HTTP (`/v1/traces` is added): `http://` with a
    /// host and a port. Empty for no traces.
    pub otlp_endpoint: String,
    /// The share of traces that is kept of those that begin here, from 0 to 1. Of one that a caller began
    /// the caller decides.
    pub sample_ratio: f64,
    /// `service.name` of the spans.
    pub service_name: String,
}

impl Default for TelemetrySettings {
    fn default() -> Self {
        Self {
            otlp_endpoint: String::new(),
            sample_ratio: 1.0,
            service_name: String::from("recant"),
        }
    }
}

impl TelemetrySettings {
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let endpoint = self.otlp_endpoint.strip_prefix("http://");
        let names_a_host = endpoint.is_some_and(|rest| {
            let authority = rest.trim_end_matches('/').parse();
            authority.is_ok_and(|authority: axum::http::uri::Authority| {
                !authority.host().is_empty() && !authority.as_str().contains('@')
            })
        });
        if !self.otlp_endpoint.is_empty() && !names_a_host {
            let problem = "needs http:// with the host and port of a collector, as in \
                           http://127.0.0.1:4318";
            return Err(InvalidSetting::new("telemetry.otlp_endpoint", problem));
        }
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            let problem = format!("is {}: take a number from 0 to 1", self.sample_ratio);
            return Err(InvalidSetting::new("telemetry.sample_ratio", problem));
        }
        if self.service_name.is_empty() {
            let problem = "is empty: take a name, such as recant";
            return Err(InvalidSetting::new("telemetry.service_name", problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_with_http() {
        for (endpoint, good) in [
            ("", true),
            ("http://127.0.0.1:4318", true),
            ("http://[::1]:4318/", true),
            ("http://collector", true),
            ("https://collector:4318", false),
            ("http://collector:4318/v1/traces", false),
            ("http://name:password@collector", false),
            ("http://", false),
            ("collector:4318", false),
        ] {
            let settings = TelemetrySettings {
                otlp_endpoint: endpoint.to_owned(),
                ..TelemetrySettings::default()
            };
            assert_eq!(settings.check().is_ok(), good, "{endpoint}");
        }
    }

    #[test]
    fn a_share_is_between_nothing_and_all() {
        for (ratio, good) in [
            (0.0, true),
            (0.1, true),
            (1.0, true),
            (1.1, false),
            (-0.1, false),
        ] {
            let settings = TelemetrySettings {
                sample_ratio: ratio,
                ..TelemetrySettings::default()
            };
            assert_eq!(settings.check().is_ok(), good, "{ratio}");
        }
        let settings = TelemetrySettings {
            sample_ratio: f64::NAN,
            ..TelemetrySettings::default()
        };
        assert!(settings.check().is_err());
    }
}
