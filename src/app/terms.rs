//! Loads and reads the terms of programmes. Terms are loaded once and never changed, so [`App::terms`] has a cache.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::request::RequestIdentity;
use super::retry::one_try;
use super::rules::AdoptedBy;
use super::{App, AppError, Result, Violation, authorise, replay_stored_answer, writer};
use crate::app::terms_cache::LoadedScheme;
use crate::domain::event::Hash;
use crate::domain::ids::{Actor, Programme};
use crate::domain::programme::opening::terms_in_use;
use crate::domain::refusal::EntityKind;
use crate::domain::role::{Action, Caller};
use crate::domain::terms::{Terms, TermsDifference, TermsMistake, shipped};
use crate::store::{WriteTx, programmes, register, requests};

/// The most bytes of a terms file. The shipped ones have about 8 KiB.
const MAX_BYTES: usize = 256 * 1024;

/// The most bytes of a terms file that is only compared, which every caller may ask for.
const MAX_COMPARED_BYTES: usize = 64 * 1024;

/// A request to load terms.
#[derive(Debug, Clone, Copy)]
pub struct NewTerms<'a> {
    /// The identity of the request, by which a repeat is recognised.
    pub request: RequestIdentity,
    /// The name of the terms file, for messages.
    pub file_name: &'a str,
    /// The text of the file.
    pub text: &'a str,
    /// Whether to only check the terms and load nothing.
    pub validate_only: bool,
    /// Encodes the stored answer.
    pub encode: fn(&StoredTerms) -> Vec<u8>,
}

/// Where terms come from that are compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TermsSource {
    /// Those of a programme.
    Programme(Programme),
    /// A text that need not be loaded.
    Text {
        /// The name of the file, for messages.
        file_name: String,
        /// The text.
        text: String,
    },
}

/// Terms that are stored.
#[derive(Debug, Clone)]
pub struct StoredTerms {
    /// The row.
    pub row: programmes::LoadedTerms,
    /// The text of the row, parsed.
    pub terms: Terms,
    /// Whether the same terms were stored already.
    pub unchanged: bool,
}

impl App {
    /// A programme's terms.
    ///
    /// # Errors
    /// [`AppError::NotFound`] for a programme that has none.
    pub async fn terms(&self, programme: &Programme) -> Result<Arc<LoadedScheme>> {
        self.inner.terms.get_or_load(self.store(), programme).await
    }

    /// Whether the terms are in the cache, so that [`App::terms`] does not query the database.
    pub(super) fn has_cached_terms(&self, programme: &Programme) -> bool {
        self.inner.terms.cached(programme).is_some()
    }

    /// The terms of every programme, ordered by the programme's name.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::Unavailable`].
    pub async fn list_terms(&self, caller: &Caller) -> Result<Vec<(programmes::LoadedTerms, Terms)>> {
        authorise(caller, Action::Read)?;
        programmes::all_terms(self.store())
            .await?
            .into_iter()
            .map(|row| Ok((row.clone(), parse("terms", &row.text)?)))
            .collect()
    }

    /// The terms of one programme.
    ///
    /// # Errors
    /// [`AppError::Denied`]; [`AppError::UnknownName`] for a programme that has none; [`AppError::Unavailable`].
    pub async fn get_terms(&self, caller: &Caller, programme: &Programme) -> Result<(programmes::LoadedTerms, Terms)> {
        authorise(caller, Action::Read)?;
        let all = programmes::all_terms(self.store()).await?;
        match all.iter().find(|row| row.programme == *programme) {
            Some(row) => Ok((row.clone(), parse("terms", &row.text)?)),
            None => {
                let known = all.iter().map(|it| it.programme.to_string()).collect();
                Err(AppError::UnknownName(EntityKind::Programme, programme.to_string(), known))
            }
        }
    }

    /// Compares two terms, each of a programme or of a text.
    ///
    /// # Errors
    /// As [`App::get_terms`]; [`AppError::Invalid`] with every mistake in the texts.
    pub async fn diff_terms(
        &self,
        caller: &Caller,
        before: &TermsSource,
        after: &TermsSource,
    ) -> Result<Vec<TermsDifference>> {
        let before = self.terms_of_source(caller, before).await?;
        Ok(before.differences(&self.terms_of_source(caller, after).await?))
    }

    async fn terms_of_source(&self, caller: &Caller, source: &TermsSource) -> Result<Terms> {
        match source {
            TermsSource::Programme(programme) => Ok(self.get_terms(caller, programme).await?.1),
            TermsSource::Text { file_name, text } => {
                authorise(caller, Action::Read)?;
                check_size(text, MAX_COMPARED_BYTES)?;
                parse(file_name, text)
            }
        }
    }

    /// Loads the terms of a new programme and begins its record. Returns the encoded answer. Loading the same text again
    /// changes nothing. A repeated request gets the stored answer.
    ///
    /// # Errors
    /// [`AppError::Denied`]. [`AppError::Invalid`] with every mistake in the text. `Reason::TermsInUse` if the programme
    /// has other terms already. [`AppError::RequestIdReused`]. [`AppError::Unavailable`], [`AppError::StorageFull`],
    /// [`AppError::Outdated`], [`AppError::ClockWrong`].
    pub async fn load_terms(&self, caller: &Caller, new: NewTerms<'_>) -> Result<Vec<u8>> {
        authorise(caller, Action::LoadTerms)?;
        one_try(self.try_load_terms(caller, new)).await
    }

    async fn try_load_terms(&self, caller: &Caller, new: NewTerms<'_>) -> Result<Vec<u8>> {
        let (actor, request) = (caller.actor.clone(), new.request);
        let by = AdoptedBy { actor: actor.clone(), request: request.id };
        let (tx, stored_terms) = match self.store_terms(&by, new.file_name, new.text).await {
            Err(error) if new.validate_only => return Err(error),
            // A stored answer takes precedence over an error of the repeated request.
            Err(error) => return self.find_stored_answer(&actor, &new).await?.ok_or(error),
            Ok(stored_terms) => stored_terms,
        };
        if new.validate_only {
            tx.rollback().await?;
            return Ok((new.encode)(&stored_terms));
        }
        if let Some(stored) = requests::one(&tx, &actor, request.id).await? {
            tx.confirm().await?;
            return replay_stored_answer(&stored, &request);
        }
        let answer = (new.encode)(&stored_terms);
        let stored = request.stored(&actor, answer.clone(), None);
        requests::keep(&tx, &[stored], self.register_now(&tx).await?.at).await?;
        tx.commit().await?;
        Ok(answer)
    }

    /// Returns the stored answer of a repeated request, after confirming that it is durable. `None` if nothing is stored.
    async fn find_stored_answer(&self, actor: &Actor, new: &NewTerms<'_>) -> Result<Option<Vec<u8>>> {
        let Some(stored) = requests::one(self.store(), actor, new.request.id).await? else { return Ok(None) };
        self.store().confirm().await?;
        replay_stored_answer(&stored, &new.request).map(Some)
    }

    /// Loads the terms that ship with the program, for programmes that have none yet.
    ///
    /// # Errors
    /// [`AppError::Unavailable`].
    pub async fn install_shipped_terms(&self) -> Result<()> {
        for (file_name, text) in shipped() {
            match self.store_terms(&AdoptedBy::program()?, file_name, text).await {
                Ok((tx, _)) => tx.commit().await?,
                // The programme has terms already, from an earlier version of the file. Its offers depend on those terms.
                Err(AppError::Refused(refusal)) => {
                    tracing::warn!(file_name, %refusal, "keeping the terms loaded before")
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Stores the terms and begins the programme's record, unless the same text is stored already. Returns the terms, and the
    /// transaction, which the caller commits.
    async fn store_terms(&self, by: &AdoptedBy, file_name: &str, text: &str) -> Result<(WriteTx, StoredTerms)> {
        check_size(text, MAX_BYTES)?;
        let terms = parse(file_name, text)?;
        let programme = terms.programme().clone();
        let tx = self.begin_write().await?;
        // This lock makes servers that start at the same time load the terms one after the other.
        register::lock(&tx).await?;
        let sha256 = Hash(Sha256::digest(text).into());
        let stored_terms = programmes::terms_of(&tx, &programme).await?;
        if let Some(row) = stored_terms.clone().filter(|row| row.sha256 == sha256) {
            return Ok((tx, StoredTerms { row, terms, unchanged: true }));
        }
        // An earlier version accepted escapes of invisible characters. Terms that it stored were returned above; new terms
        // with such escapes are refused.
        let invisible = Terms::forbidden_characters(file_name, text);
        if !invisible.is_empty() || stored_terms.is_some() {
            tx.rollback().await?;
            return Err(if invisible.is_empty() { terms_in_use(&programme).into() } else { invalid_terms(&invisible) });
        }
        let now = self.register_now(&tx).await?;
        let (text, loaded_by) = (text.to_owned(), by.actor.to_string());
        let row = programmes::LoadedTerms { programme, text, sha256, loaded_by, loaded_at: now.at };
        programmes::open_book(&tx, &row).await?;
        let loaded = LoadedScheme { terms: Arc::new(terms.clone()), sha256 };
        writer::begin_record(&tx, &loaded, by, now).await?;
        Ok((tx, StoredTerms { row, terms, unchanged: false }))
    }
}

fn check_size(text: &str, most: usize) -> Result<()> {
    if text.len() <= most {
        return Ok(());
    }
    Err(AppError::Invalid(vec![Violation::new("text", format!("is longer than {most} bytes"))]))
}

fn parse(file_name: &str, text: &str) -> Result<Terms> {
    Terms::parse(file_name, text).map_err(|mistakes| invalid_terms(&mistakes))
}

fn invalid_terms(mistakes: &[TermsMistake]) -> AppError {
    let violation = |it: &TermsMistake| Violation::new(format!("{}:{}", it.file, it.line), &it.reason);
    AppError::Invalid(mistakes.iter().map(violation).collect())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::testing::{TestApp, admin, programme};
    use super::*;
    use crate::domain::ids::RequestId;

    async fn load(test_app: &TestApp, text: &str) -> Result<Vec<u8>> {
        let new = NewTerms {
            request: RequestIdentity::of_parts(RequestId(Uuid::new_v4()), "test", &[]),
            file_name: "2021-22.toml",
            text,
            validate_only: false,
            encode: |it| vec![u8::from(it.unchanged)],
        };
        test_app.app.load_terms(&admin("ann"), new).await
    }

    /// An earlier version accepted a text with an escape in it.
    #[tokio::test]
    async fn stored_terms_with_an_escape_are_read_and_new_ones_are_refused() {
        let test_app = TestApp::new().await;
        let (_, shipped) = shipped()[0];
        let year = shipped.replace("2022", "2027").replace("2021-22", "2026-27").replace("2021", "2026");
        let with_escape = year.replacen("name      = \"", "name      = \"\\u001b[31m", 1);
        assert_ne!(with_escape, year);
        let refused = load(&test_app, &with_escape).await;
        assert!(matches!(&refused, Err(AppError::Invalid(found)) if found.len() == 1), "{refused:?}");

        let tx = test_app.app.begin_write().await.unwrap();
        let now = test_app.app.register_now(&tx).await.unwrap();
        let sha256 = Hash(Sha256::digest(&with_escape).into());
        let (text, loaded_by) = (with_escape.clone(), "ann".to_owned());
        let row =
            programmes::LoadedTerms { programme: programme("2026-27"), text, sha256, loaded_by, loaded_at: now.at };
        programmes::open_book(&tx, &row).await.unwrap();
        tx.commit().await.unwrap();
        let stored = test_app.app.terms(&programme("2026-27")).await.unwrap();
        assert!(stored.terms.name().starts_with("\u{1b}[31m"), "{}", stored.terms.name());
        let answer_unchanged = vec![1];
        assert_eq!(load(&test_app, &with_escape).await, Ok(answer_unchanged), "the same text is stored already");
        assert!(matches!(load(&test_app, &year).await, Err(AppError::Refused(_))), "another text is refused");
    }
}
