awaitable<void> mix() {
    const auto first_value = co_await first();
    auto sum = first_value + 1;
    total += first_value;
    auto items = co_await list();
    for (const auto& item : items) co_await use(item);
    do
        co_await step();
    while (more());
    if constexpr (fast)
        co_await step();
    try {
        co_await step();
    } catch (...) {
    }
    co_await step();
}
