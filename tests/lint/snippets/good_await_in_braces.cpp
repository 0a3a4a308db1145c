awaitable<Pair> build() {
    auto one = co_await first();
    auto two = co_await second();
    rows.push_back(Row{one});
    co_return Pair{one, two};
}
