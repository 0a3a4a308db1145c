awaitable<void> list() {
    const std::vector<std::string> words{"a", "b"};
    co_await send(words);
    auto one = co_await first();
    auto two = co_await second();
    const std::vector all{one, two};
}
