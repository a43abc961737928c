use super::*;

fn shares(shape: &Shape, books: u32, bursts: usize) -> Vec<f64> {
    let mut flow = Flow::new(shape, books, 0.01, Bursts::of_one_book(16.0), 1, 2);
    let mut counts = vec![0_u64; books as usize];
    for _ in 0..bursts {
        let burst = flow.next_burst();
        counts[burst.book as usize] += u64::from(burst.commands);
    }
    let total: u64 = counts.iter().sum();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    counts.iter().map(|count| *count as f64 / total as f64).collect()
}

#[test]
fn rates_and_sizes_are_those_asked_for() {
    for shape in ["calm", "zipf:1", "hot:70%", "hot-swap:1ms", "us-equities"] {
        let shape: Shape = shape.parse().unwrap();
        let books = shape.books().unwrap_or(1_000);
        let mut flow = Flow::new(&shape, books, 0.01, Bursts::of_one_book(16.0), 1, 2);
        let (mut commands, mut last) = (0_u64, 0);
        for _ in 0..200_000 {
            let burst = flow.next_burst();
            assert!(burst.commands > 0 && burst.at >= last);
            last = burst.at;
            commands += u64::from(burst.commands);
        }
        let rate = commands as f64 / last as f64;
        assert!((rate / 0.01 - 1.0).abs() < 0.05, "{shape}: {rate}");
        let size = commands as f64 / 200_000.0;
        assert!((size / 16.0 - 1.0).abs() < 0.02, "{shape}: {size}");
    }
}

#[test]
fn the_hottest_book_has_its_share() {
    for (shape, share) in [("zipf:1", 1.0 / 7.485), ("hot:70%", 0.7), ("calm", 0.001)] {
        let shape: Shape = shape.parse().unwrap();
        assert!((shape.hottest_share(1_000) / share - 1.0).abs() < 0.001, "{shape}");
        let got = shares(&shape, 1_000, 200_000)[0];
        assert!((got / share - 1.0).abs() < 0.03 || share < 0.01, "{shape}: {got}");
    }
}

#[test]
fn swaps_change_who_is_hot_and_nothing_else() {
    let shape: Shape = "hot-swap:1ms".parse().unwrap();
    let mut flow = Flow::new(&shape, 100, 0.01, Bursts::of_one_book(1.0), 1, 2);
    let before = flow.by_rank[..HOT_SET].to_vec();
    while flow.next_burst().at < 1_500_000 {}
    let after = &flow.by_rank[..HOT_SET];
    assert!(before.iter().all(|book| !after.contains(book)), "{before:?} {after:?}");
    let mut all = flow.by_rank.clone();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..100));
}

#[test]
fn hot_seconds_belong_to_cold_names_as_well() {
    let rates = Arc::new(synthetic_rates());
    let shape = Shape::Equities(Arc::clone(&rates));
    let mut flow = Flow::new(&shape, 8_172, 0.05, Bursts::of_one_book(16.0), 1, 2);
    // A second of the day lasts so long.
    let second = (206_622_013.0 / 23_400.0 / 0.05) as u64;
    let mut cold = 0;
    let mut rank_of = vec![0; 8_172];
    for (rank, book) in flow.by_rank.iter().enumerate() {
        rank_of[*book as usize] = rank;
    }
    let seconds = 200;
    let mut counts = vec![0_u32; 8_172];
    let mut now = 0;
    let mut burst = flow.next_burst();
    while now < seconds {
        if burst.at / second > now {
            let hottest = (0..8_172).max_by_key(|book| counts[*book]).unwrap();
            cold += usize::from(rank_of[hottest] >= 100);
            counts.fill(0);
            now = burst.at / second;
        }
        counts[burst.book as usize] += burst.commands;
        burst = flow.next_burst();
    }
    assert!(
        cold * 3 > seconds as usize,
        "in {cold} of {seconds} seconds the hottest name was none of the day's 100"
    );
}

#[test]
fn known_rates_are_those_that_arrive() {
    let shape = Shape::Zipf(1.0);
    let rates = known_rates(&shape, 100, 9);
    let mut flow = Flow::new(&shape, 100, 0.01, Bursts::of_one_book(1.0), 9, 4);
    let mut counts = vec![0_u64; 100];
    for _ in 0..1_000_000 {
        counts[flow.next_burst().book as usize] += 1;
    }
    for (book, rate) in rates.iter().enumerate() {
        assert!(counts[book].abs_diff(rate / 1_000_000) < 1_500, "{book}: {} {rate}", counts[book]);
    }
}

#[test]
fn rates_files_are_read_and_others_refused() {
    let text = "symbol,inside_updates,p50_per_s,p99_per_s,max_per_s\n__aggregate__,9,9,9,9\nA,100,1,5,20\nB,0,0,0,0\n";
    assert_eq!(read_rates(text), Ok(vec![SymbolRates { day: 100, second_p99: 5, second_max: 20 }]));
    for wrong in ["", "symbol,inside_updates\nA,1\n", "inside_updates,p99_per_s,max_per_s\n1,x,3\n"] {
        assert!(read_rates(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn the_made_up_day_has_the_skew_it_says() {
    let rates = synthetic_rates();
    let total: u64 = rates.iter().map(|symbol| symbol.day).sum();
    let top =
        |n: usize| rates[..n].iter().map(|symbol| symbol.day).sum::<u64>() as f64 / total as f64 * 100.0;
    let tops = [10, 100, 500, 1_000].map(top);
    for (got, real) in tops.iter().zip([7.8, 26.0, 56.0, 73.0]) {
        assert!((got - real).abs() < 3.0, "{tops:?}");
    }
}

#[test]
fn profiles_are_read_and_others_refused() {
    assert_eq!("hot-swap:200us".parse(), Ok(Shape::Swap { exponent: 1.0, nanos: 200_000 }));
    for wrong in ["", "zipf", "zipf:x", "hot:101%", "hot-swap:1", "hot-swap:0ms", "burst:1"] {
        assert!(wrong.parse::<Shape>().is_err(), "{wrong}");
    }
}
