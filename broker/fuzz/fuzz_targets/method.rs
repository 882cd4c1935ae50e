//! The method decoder: what it accepts can be written and is read back as the same method.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{Method, decode_delivery, decode_method, next_frame};

fuzz_target!(|payload: &[u8]| {
    let delivery = decode_delivery(payload);
    match decode_method(payload) {
        Err(error) => assert!(wire::reply_text(&error.refusal()).as_str().len() <= 255),
        Ok(Method::Other(class)) => {
            let mut out = Vec::new();
            wire::method(&mut out, 1, class.clone());
            let (frame, size) = next_frame(&out, 0).expect("our own frame").expect("whole");
            assert_eq!(size, out.len());
            // Numbers that are no numbers are not equal to themselves: compare what is written.
            let again = decode_method(frame.payload).expect("our own method");
            assert_eq!(format!("{again:?}"), format!("{:?}", Method::Other(class)));
        }
        Ok(_) => assert!(delivery.is_none()),
    }
});
