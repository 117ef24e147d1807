//! The exporter: a runtime and the HTTP server in front of it.

use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::checked_config::CheckedConfig;
use super::error::CommandError;
use super::reloader::Reloader;
use super::runtime::{Environment, Runtime};
use crate::config::Loaded;
use crate::discovery::SourceCache;
use crate::net;
use crate::web::{ActiveWebConfig, Readiness, Reload, Web, WebOptions};

/// A configured exporter. It makes no call and serves nothing before [`Exporter::run`].
pub struct Exporter(Reloader);

impl Exporter {
    /// The exporter of the `loaded` configuration.
    pub async fn new(loaded: Loaded, environment: Environment) -> Result<Self, CommandError> {
        let checked = CheckedConfig::new(loaded, &SourceCache::default(), environment.shard)?;
        Ok(Self(Reloader {
            runtime: Runtime::start(checked, environment).await?,
            file: None,
            hangup: Arc::default(),
        }))
    }

    /// The number of clients of each instance.
    pub(super) fn clients(&self) -> impl ExactSizeIterator<Item = usize> {
        let states = self.0.runtime.states.iter();
        states.map(|state| state.fleet().len())
    }

    /// Reloads the configuration from `file` whenever `hangup` is notified, and over HTTP if that is
    /// enabled.
    #[must_use]
    pub fn reloading(mut self, file: PathBuf, hangup: Arc<Notify>) -> Self {
        self.0.file = Some(file);
        self.0.hangup = hangup;
        self
    }

    /// Serves on `listeners`, with `web_config`, until `shutdown`. Then it accepts no connection,
    /// answers the requests in flight, ends the sweeps, and returns after at most five seconds.
    pub async fn run(
        self,
        options: WebOptions,
        web_config: Option<ActiveWebConfig>,
        listeners: Vec<TcpListener>,
        shutdown: CancellationToken,
    ) -> Result<(), CommandError> {
        let Self(reloader) = self;
        let runtime = &reloader.runtime;
        let (sweeps, metrics) = (Arc::clone(&runtime.sweeps), Arc::clone(&runtime.metrics));
        let readiness = Readiness::starting();
        let (reload, requests) = Reload::channel();
        let web = Web {
            reload: options.enable_lifecycle.then_some(reload),
            options,
            sweeps: Arc::clone(&sweeps),
            metrics: Arc::clone(&metrics),
            readiness: readiness.clone(),
            config: Arc::clone(&runtime.config),
        };
        let router = web.router();
        let mut router = router.map_err(|error| CommandError::Usage(error.to_string()))?;
        let mut background = JoinSet::new();
        let tls = web_config.as_ref().and_then(ActiveWebConfig::tls);
        if let Some(web_config) = web_config {
            router = web_config.protect(router);
            background.spawn(web_config.follow(metrics));
        }
        sweeps.start();
        background.spawn(Arc::clone(&sweeps).follow_clock());
        background.spawn(reloader.run(requests));
        readiness.ready();
        let service = TowerToHyperService::new(router);
        let options = net::ServeOptions::default();
        let serve = net::serve(listeners, tls, service, options, shutdown.clone());
        let drain = async {
            shutdown.cancelled().await;
            readiness.draining();
            sweeps.drain();
        };
        tokio::join!(drain, serve);
        drop(background);
        sweeps.stop().await;
        Ok(())
    }
}
