// Awaits inside an initialiser.
awaitable<Pair> build() {
    Pair pair{co_await first(), co_await second()};  // bad
    Single single{co_await first()};  // bad
    use(Pair{1, co_await second()});  // bad
    rows.push_back(Row{co_await first()});  // bad
    auto value(co_await first());  // bad
    use(co_await first());  // bad
    co_return Pair{co_await first(), 2};  // bad
}
