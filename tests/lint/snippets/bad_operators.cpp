// Whatever else shares an expression with co_await.
awaitable<void> mix() {
    auto sum = co_await first() + 1;  // bad
    auto twice = 2 * co_await first();  // bad
    total += co_await first();  // bad
    const bool same = co_await first() == 3;  // bad
    co_await first(), co_await second();  // bad
    std::cout << co_await first();  // bad
    for (auto item : co_await list())  // bad
        use(item);
    if (auto item = co_await first(); item)  // bad
        use(item);
    static_cast<void>(co_await first());  // bad
    co_return co_await first() && co_await second();  // bad
}
