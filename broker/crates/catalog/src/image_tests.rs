//! An image read back is the same catalogue, and goes on as it would have.

use crate::apply_tests::{Step, run, step};
use crate::fixture::Fixture;
use crate::{Catalog, Command, Image};
use model::NodeUuid;
use proptest::prelude::*;

fn written_and_read(catalog: &Catalog) -> Catalog {
    let octets = rmp_serde::to_vec_named(&catalog.image()).unwrap();
    let image: Image = rmp_serde::from_slice(&octets).unwrap();
    Catalog::try_from(image).unwrap()
}

fn restart(incarnation: u64) -> Step {
    Step::Apply(Command::NodeUp {
        node: NodeUuid(1),
        name: "n@h".into(),
        incarnation,
        boot_id: incarnation,
        mirrors: false,
    })
}

#[test]
fn an_image_that_no_catalogue_can_be_made_of_says_what_is_wrong() {
    let mut fixture = Fixture::new();
    fixture.check("queue q\nbind amq.direct q:q k");
    let mut image = serde_json::to_value(fixture.catalog.image()).unwrap();
    image["vhosts"][0]["queues"].as_array_mut().unwrap().clear();
    let image: Image = serde_json::from_value(image).unwrap();
    let error = Catalog::try_from(image).unwrap_err().to_string();
    assert_eq!(
        error,
        "a binding from exchange 'amq.direct' to 'q' in vhost '/' has lost an end"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_catalogue_read_back_is_equal_and_goes_on_equally(
        before in prop::collection::vec(step(), 0..60),
        after in prop::collection::vec(step(), 0..30),
        incarnation in 1..3u64,
    ) {
        let mut first = Fixture::new();
        for (at, step) in before.iter().chain([&restart(1)]).enumerate() {
            run(&mut first, step, at as u64);
        }
        let mut second = Fixture::new();
        second.catalog = written_and_read(&first.catalog);
        prop_assert_eq!(&second.catalog, &first.catalog);
        first.events.clear();
        second.events.clear();
        for (at, step) in after.iter().chain([&restart(incarnation)]).enumerate() {
            prop_assert_eq!(run(&mut second, step, 100 + at as u64), run(&mut first, step, 100 + at as u64));
        }
        prop_assert_eq!(&second.catalog, &first.catalog);
        prop_assert_eq!(&second.events, &first.events);
    }
}
