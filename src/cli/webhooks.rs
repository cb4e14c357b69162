//! The endpoints of the configuration, told of erasures by the service.

use std::sync::Arc;

use super::error::CliError;
use recant_http::{WebhookClient, WebhookSettings};
use recant_service::{Service, WebhookEndpoint, WebhookGuard};

/// Begins to tell `endpoints`. Before the service takes requests, so that none is missed.
pub(super) async fn start(
    service: &Service,
    endpoints: Vec<WebhookSettings>,
) -> Result<WebhookGuard, CliError> {
    let mut told = Vec::with_capacity(endpoints.len());
    for settings in endpoints {
        told.push(endpoint(service, settings).await?);
    }
    service.start_webhooks(told).await.map_err(CliError::failed)
}

async fn endpoint(
    service: &Service,
    settings: WebhookSettings,
) -> Result<WebhookEndpoint, CliError> {
    let key = service.webhook_key(&settings.name).await;
    let client = WebhookClient::new(&settings, key.map_err(CliError::failed)?);
    let client = client
        .map_err(|error| CliError::Failed(format!("the webhook {}: {error}", settings.name)))?;
    let public_key = client.public_key();
    tracing::info!(
        name = settings.name,
        host = settings.url.host(),
        public_key,
        "an endpoint is told of erasures"
    );
    Ok(WebhookEndpoint {
        name: settings.name.clone(),
        public_key,
        states: settings.told_states(),
        on_request: settings.is_callback(),
        every: settings.every(),
        retries: settings.retries(),
        give_up_after: settings.give_up_after(),
        waiting_max: usize::try_from(settings.waiting_max).unwrap_or(usize::MAX),
        deliver: Arc::new(client),
    })
}
