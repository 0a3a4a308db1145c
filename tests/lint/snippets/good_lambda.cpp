awaitable<void> spawn(std::string name) {
    auto work = [name]() -> awaitable<void> {
        const auto reply = co_await send(name);
        co_return;
    };
    co_await co_spawn(executor, std::move(work), use_awaitable);
    co_await [](std::string text) -> awaitable<void> {
        std::vector<int> numbers{1, 2};
        if (text.empty()) {
            co_return;
        }
        co_await send(text);
    }(name);
    co_await list[index];
    run(context, [&]() -> awaitable<void> {
        co_await send(name);
        auto reply = co_await receive();
    });
}
