//! The exporter: a runtime and the HTTP edge in front of it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::CommandError;
use super::reloader::Reloader;
use super::runtime::{Environment, PreparedConfig, Runtime};
use crate::config::Loaded;
use crate::net;
use crate::web::{self, ActiveWebConfig, Readiness, Reload, Web};

/// A configured exporter. It makes no call and serves nothing before [`Exporter::run`].
#[derive(Debug)]
pub struct Exporter {
    reloader: Reloader,
    edge: Option<ActiveWebConfig>,
}

impl Exporter {
    /// The exporter of the `loaded` configuration.
    pub async fn new(loaded: Loaded, environment: Environment) -> Result<Self, CommandError> {
        let prepared = PreparedConfig::first(loaded, &environment)?;
        let reloader = Reloader {
            runtime: Runtime::start(prepared, environment).await,
            file: None,
            hangup: Arc::default(),
        };
        Ok(Self {
            reloader,
            edge: None,
        })
    }

    /// The number of clients of each instance.
    pub(super) fn clients(&self) -> impl ExactSizeIterator<Item = usize> {
        let states = self.reloader.runtime.states.iter();
        states.map(|state| state.fleet().len())
    }

    /// Reloads the configuration from `file` whenever `hangup` is notified, and over HTTP if that is
    /// enabled.
    #[must_use]
    pub fn reloading(mut self, file: PathBuf, hangup: Arc<Notify>) -> Self {
        self.reloader.file = Some(file);
        self.reloader.hangup = hangup;
        self
    }

    /// Serves with the web configuration `edge`.
    #[must_use]
    pub fn behind(self, edge: Option<ActiveWebConfig>) -> Self {
        Self { edge, ..self }
    }

    /// Serves on `listeners` until `shutdown`. Then it accepts no connection, answers the requests
    /// in flight, ends the sweeps, and returns after at most five seconds.
    pub async fn run(
        self,
        options: web::WebOptions,
        listeners: Vec<TcpListener>,
        shutdown: CancellationToken,
    ) -> Result<(), CommandError> {
        let Self { reloader, edge } = self;
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
        let mut router = web
            .router()
            .map_err(|error| CommandError::Usage(error.to_string()))?;
        let (mut tls, mut follow) = (None, None);
        if let Some(edge) = edge {
            tls = edge.tls();
            router = edge.protect(router);
            follow = Some(AbortOnDropHandle::new(tokio::spawn(edge.follow(metrics))));
        }
        sweeps.start();
        let reloader = AbortOnDropHandle::new(tokio::spawn(reloader.run(requests)));
        readiness.ready();
        let draining = shutdown.clone();
        let drain = tokio::spawn(async move {
            draining.cancelled().await;
            readiness.draining();
        });
        let service = TowerToHyperService::new(router);
        let options = net::ServeOptions::default();
        net::serve(listeners, tls, service, options, shutdown).await;
        drop(follow);
        drain.await.context("the shutdown was not announced")?;
        drop(reloader);
        sweeps.stop().await;
        Ok(())
    }
}
