use super::*;

fn id(book: u32) -> InstrumentId {
    InstrumentId(book)
}

/// Rates like 1 / rank, in an order that has nothing to do with the rank.
fn skewed(books: u32) -> Vec<u64> {
    (0..books).map(|book| 1_000_000 / u64::from(1 + book.wrapping_mul(7_919) % books)).collect()
}

fn heaviest(placement: &Placement, rates: &[u64]) -> u64 {
    (0..placement.shards())
        .map(|shard| placement.books_of(ShardId(shard)).map(|book| rates[book.0 as usize]).sum())
        .max()
        .unwrap()
}

#[test]
fn every_book_has_one_shard_and_no_shard_is_left_out() {
    for policy in PlacementPolicy::ALL {
        for shards in 1..=8 {
            let placement = Placement::new(policy, 1_000, shards);
            let counts: Vec<_> =
                (0..shards).map(|shard| placement.books_of(ShardId(shard)).count()).collect();
            assert_eq!(counts.iter().sum::<usize>(), 1_000, "{policy}");
            let fair = 1_000 / usize::from(shards);
            assert!(counts.iter().all(|n| *n > fair / 2 && *n < fair * 2), "{policy} {counts:?}");
        }
    }
}

#[test]
fn round_robin_goes_in_turn() {
    let placement = Placement::new(PlacementPolicy::RoundRobin, 5, 2);
    let shards: Vec<_> = (0..5).map(|i| placement.shard_of(id(i)).0).collect();
    assert_eq!(shards, [0, 1, 0, 1, 0]);
}

#[test]
fn names_are_read_as_they_are_written() {
    for policy in PlacementPolicy::ALL {
        assert_eq!(policy.name().parse(), Ok(policy));
    }
    assert!("heavy".parse::<PlacementPolicy>().is_err());
}

#[test]
fn the_more_a_policy_knows_the_lighter_is_the_heaviest_shard() {
    let rates = skewed(1_000);
    let total: u64 = rates.iter().sum();
    let heaviest = |policy| heaviest(&Placement::with(policy, &rates, &Hints::default(), 4).unwrap(), &rates);
    let (hash, weighted, lpt) = (
        heaviest(PlacementPolicy::Hash),
        heaviest(PlacementPolicy::Weighted),
        heaviest(PlacementPolicy::Lpt),
    );
    assert!(lpt <= weighted && weighted <= hash, "{lpt} {weighted} {hash}");
    assert!(lpt * 4 <= total + total / 100, "within a hundredth of even: {lpt} of {total}");
}

#[test]
fn longest_first_keeps_grahams_bound_on_the_case_that_reaches_it() {
    // 2n + 1 jobs: 2n-1, 2n-1, 2n-2, 2n-2, .. n+1, n+1, n, n, n; the best is 3n, longest first gets 4n - 1.
    let rates = [5, 5, 4, 4, 3, 3, 3];
    let placement = Placement::with(PlacementPolicy::Lpt, &rates, &Hints::default(), 3).unwrap();
    assert_eq!(heaviest(&placement, &rates), 11);
}

#[test]
fn groups_are_units_with_one_home() {
    let hints =
        Hints { together: vec![vec![id(5), id(9)], vec![id(9), id(2)], vec![id(7)]], ..Hints::default() };
    for policy in PlacementPolicy::ALL {
        let placement = Placement::with(policy, &skewed(20), &hints, 4).unwrap();
        assert_eq!(placement.books_of_unit(Unit(2)), [id(2), id(5), id(9)]);
        assert_eq!([5, 9, 2, 7].map(|book| placement.unit_of(id(book)).0), [2, 2, 2, 7]);
        assert_eq!(placement.books_of_unit(Unit(9)), []);
        assert_eq!(placement.books_of_unit(Unit(7)), [id(7)]);
        assert_eq!(placement.books_of_unit(Unit(20)), []);
        let homes = [2, 5, 9].map(|book| placement.shard_of(id(book)));
        assert!(homes.iter().all(|home| *home == homes[0]), "{policy} {homes:?}");
    }
}

#[test]
fn hints_bind_at_the_start() {
    let hints = Hints {
        pins: vec![(id(3), ShardId(2)), (id(4), ShardId(0))],
        together: vec![vec![id(10), id(11)]],
        apart: vec![vec![id(3), id(10), id(0)], vec![id(20), id(21), id(22), id(23), id(24), id(25)]],
        reserved: vec![ShardId(2)],
    };
    for policy in PlacementPolicy::ALL {
        let placement = Placement::with(policy, &skewed(100), &hints, 4).unwrap();
        assert_eq!(placement.shard_of(id(4)), ShardId(0));
        assert_eq!(placement.books_of(ShardId(2)).collect::<Vec<_>>(), [id(3)], "{policy}: reserved");
        assert_ne!(placement.shard_of(id(10)), placement.shard_of(id(0)), "{policy}: apart");
        // Six books over three open shards: two on each, none the wiser.
        let counts = [0, 1, 3].map(|s| (20..26).filter(|b| placement.shard_of(id(*b)) == ShardId(s)).count());
        assert_eq!(counts, [2, 2, 2], "{policy}");
        assert_eq!(Bonds::new(&hints, &placement).unwrap().breaches(&placement), 0);
    }
}

#[test]
fn impossible_hints_are_named() {
    let with = |hints: Hints| Placement::with(PlacementPolicy::Hash, &[1; 10], &hints, 2).unwrap_err();
    let none = Hints::default;
    assert_eq!(
        with(Hints { pins: vec![(id(10), ShardId(0))], ..none() }),
        HintError::NoBook { book: id(10), books: 10 }
    );
    for together in [vec![vec![id(1), id(12)]], vec![vec![id(12)]]] {
        assert_eq!(with(Hints { together, ..none() }), HintError::NoBook { book: id(12), books: 10 });
    }
    assert_eq!(
        with(Hints { reserved: vec![ShardId(2)], ..none() }),
        HintError::NoShard { shard: ShardId(2), shards: 2 }
    );
    assert_eq!(
        with(Hints {
            pins: vec![(id(1), ShardId(0)), (id(2), ShardId(1))],
            together: vec![vec![id(1), id(2)]],
            ..none()
        }),
        HintError::TwoPins { book: id(2), first: ShardId(0), second: ShardId(1) }
    );
    assert_eq!(
        with(Hints { together: vec![vec![id(1), id(2)]], apart: vec![vec![id(1), id(2)]], ..none() }),
        HintError::TogetherAndApart(id(1), id(2))
    );
    assert_eq!(
        with(Hints {
            pins: vec![(id(1), ShardId(0)), (id(2), ShardId(0))],
            apart: vec![vec![id(2), id(1)]],
            ..none()
        }),
        HintError::ApartOnOneShard(id(1), id(2), ShardId(0))
    );
    assert_eq!(
        with(Hints { pins: vec![(id(0), ShardId(0))], reserved: vec![ShardId(0), ShardId(1)], ..none() }),
        HintError::NowhereToLive(id(1))
    );
    let said = HintError::NowhereToLive(id(1)).to_string();
    assert!(said.contains("book 1") && said.contains("nowhere to live"), "{said}");
}
