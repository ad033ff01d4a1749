//! A request's body as lines, none longer than a bound.

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;

/// Bytes of a line, at most: eight photos of 4 MB in base64.
pub const LONGEST: usize = 44 << 20;

/// A line that is not blank, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Whole(Bytes),
    /// It was read to its end and thrown away.
    TooLong,
    /// The rest will not arrive.
    Broken(String),
    End,
}

pub struct Lines {
    body: BodyDataStream,
    /// What arrived and was not given out.
    buffer: BytesMut,
    /// Bytes at the start of the buffer that are known to hold no line break.
    searched: usize,
    /// Within a line that is too long.
    skipping: bool,
    ended: bool,
}

impl Lines {
    pub fn of(body: Body) -> Self {
        let body = body.into_data_stream();
        Self { body, buffer: BytesMut::new(), searched: 0, skipping: false, ended: false }
    }

    pub async fn next(&mut self) -> Line {
        loop {
            if let Some(line) = self.buffered() {
                return line;
            }
            match self.body.next().await {
                Some(Ok(bytes)) => self.buffer.extend_from_slice(&bytes),
                Some(Err(error)) => return Line::Broken(error.to_string()),
                None if self.ended => return Line::End,
                None => {
                    // The last line need not end in a line break.
                    self.ended = true;
                    self.buffer.extend_from_slice(b"\n");
                }
            }
        }
    }

    fn buffered(&mut self) -> Option<Line> {
        loop {
            let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(end) = unsearched.iter().position(|&byte| byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.searched > LONGEST {
                    self.skipping = true;
                }
                if self.skipping {
                    self.buffer.clear();
                    self.searched = 0;
                }
                return None;
            };
            let line = self.buffer.split_to(self.searched + end + 1).freeze();
            self.searched = 0;
            if std::mem::take(&mut self.skipping) || line.len() > LONGEST {
                return Some(Line::TooLong);
            }
            if !line.trim_ascii().is_empty() {
                return Some(Line::Whole(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a body that arrives in these pieces.
    async fn lines_of(pieces: Vec<Vec<u8>>) -> Vec<Line> {
        let pieces = futures::stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let mut lines = Lines::of(Body::from_stream(pieces));
        let mut all = Vec::new();
        loop {
            match lines.next().await {
                Line::End => return all,
                line => all.push(line),
            }
        }
    }

    fn whole(line: &str) -> Line {
        Line::Whole(Bytes::copy_from_slice(line.as_bytes()))
    }

    #[tokio::test]
    async fn lines_are_whole_however_they_arrive() {
        let pieces = ["{\"a\"", ":1}\n\n  \n{}", "\r\nlast"].map(|piece| piece.as_bytes().to_vec());
        assert_eq!(lines_of(pieces.into()).await, [whole("{\"a\":1}\n"), whole("{}\r\n"), whole("last\n")]);
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_is_skipped_and_the_next_is_read() {
        let mut pieces: Vec<Vec<u8>> = (0..45).map(|_| vec![b'x'; 1 << 20]).collect();
        pieces.push(b"x\n{}\n".to_vec());
        assert_eq!(lines_of(pieces).await, [Line::TooLong, whole("{}\n")]);
    }
}
