//! Why the engine has stopped.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::Error;

/// Why the engine has stopped, as all who are told share it. It reads as a text.
#[derive(Clone)]
pub struct StopReason(Arc<Reason>);

struct Reason {
    text: Box<str>,
    error: Option<Error>,
}

impl StopReason {
    /// A reason in words, and the error that is behind it.
    pub(crate) fn with(words: &str, error: &Error) -> StopReason {
        let text = format!("{words}: {error}").into();
        StopReason(Arc::new(Reason { text, error: Some(error.clone()) }))
    }

    /// The error from which the engine could not go on, where it was one: an error of the disk, damage.
    pub fn error(&self) -> Option<&Error> {
        self.0.error.as_ref()
    }
}

impl From<&Error> for StopReason {
    /// The reason is the error; for who was stopped already it is the one that he was told.
    fn from(error: &Error) -> StopReason {
        match error {
            Error::Stopped(why) => why.clone(),
            error => StopReason(Arc::new(Reason {
                text: error.to_string().into(),
                error: Some(error.clone()),
            })),
        }
    }
}

impl From<&str> for StopReason {
    fn from(text: &str) -> StopReason {
        StopReason(Arc::new(Reason { text: text.into(), error: None }))
    }
}

impl Deref for StopReason {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0.text
    }
}

impl PartialEq for StopReason {
    fn eq(&self, other: &StopReason) -> bool {
        **self == **other
    }
}

impl Eq for StopReason {}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl fmt::Debug for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_stopped_already_hands_on_what_he_was_told() {
        let missing = Error::Missing { file: "log-a".into() };
        let why = StopReason::from(&missing);
        assert!(matches!(why.error(), Some(Error::Missing { .. })));
        let again = StopReason::from(&Error::Stopped(why.clone()));
        assert_eq!(&*again, "log-a is missing");
        assert!(matches!(again.error(), Some(Error::Missing { .. })));
        assert!(StopReason::from("a thread ended").error().is_none());
    }
}
