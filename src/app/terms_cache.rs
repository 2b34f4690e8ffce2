//! A cache of the terms of programmes. Installed terms never change.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::app::{AppError, Result};
use crate::domain::hash::Hash;
use crate::domain::ids::Programme;
use crate::domain::programme::{ProgrammeHeader, ProgrammeState};
use crate::domain::refusal::EntityKind;
use crate::domain::terms::Terms;
use crate::store::{Readable, programmes};

/// A programme's terms, and their hash, which each offer stores.
#[derive(Debug)]
pub struct LoadedScheme {
    /// The terms.
    pub terms: Arc<Terms>,
    /// SHA-256 of their text.
    pub sha256: Hash,
}

impl LoadedScheme {
    /// The state of a programme under these terms before its first event. `open` says whether the programme is open.
    pub(in crate::app) fn initial_state(&self, open: bool) -> ProgrammeState {
        let (programme, scheme) = (self.terms.programme().clone(), Arc::clone(&self.terms));
        ProgrammeState::new(ProgrammeHeader { programme, terms: self.sha256.0, scheme, open })
    }
}

/// Parsed terms by programme. Terms never change, so a cached value is never stale.
#[derive(Debug, Default)]
pub(in crate::app) struct TermsCache(RwLock<HashMap<Programme, Arc<LoadedScheme>>>);

impl TermsCache {
    /// Returns the terms of a programme, from the cache or from the database.
    ///
    /// # Errors
    /// [`AppError::UnknownName`] for an unknown programme; [`AppError::Unavailable`]; [`AppError::Bug`] for stored terms that
    /// cannot be parsed.
    pub(in crate::app) async fn get_or_load(
        &self,
        from: &dyn Readable,
        programme: &Programme,
    ) -> Result<Arc<LoadedScheme>> {
        if let Some(loaded) = self.cached(programme) {
            return Ok(loaded);
        }
        let Some(row) = programmes::terms_of(from, programme).await? else {
            let known = programmes::all_terms(from).await?.into_iter().map(|it| it.programme.to_string()).collect();
            return Err(AppError::UnknownName(EntityKind::Programme, programme.to_string(), known));
        };
        let terms = Terms::parse(&format!("{programme}.toml"), &row.text)
            .map_err(|mistakes| AppError::Bug(format!("stored terms are unsound: {mistakes:?}")))?;
        let loaded = Arc::new(LoadedScheme { terms: Arc::new(terms), sha256: row.sha256 });
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(programme.clone(), Arc::clone(&loaded));
        Ok(loaded)
    }

    /// Returns the terms of a programme if they are in the cache.
    pub(in crate::app) fn cached(&self, programme: &Programme) -> Option<Arc<LoadedScheme>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(programme).cloned()
    }
}
