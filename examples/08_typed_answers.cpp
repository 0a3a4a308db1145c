// 08: answers as C++ values.
//
// Shows: a described struct as the answer's type, its JSON and its schema, what a typed run says
// beside the value, and an answer that is not one.
// Run:   llmproc_example_08_typed_answers [program file]  (default: 08_typed_answers.toml, beside this)

#include <llmproc/llmproc.hpp>

#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

namespace {

enum class Course { starter, main, dessert };
BOOST_DESCRIBE_ENUM(Course, starter, main, dessert)

struct Ingredient {
    std::string name;
    double amount = 0;
    std::optional<std::string> unit;
};
BOOST_DESCRIBE_STRUCT(Ingredient, (), (name, amount, unit))

struct Recipe {
    std::string name;
    Course course = Course::main;
    int minutes = 0;
    std::vector<Ingredient> ingredients;
};
BOOST_DESCRIBE_STRUCT(Recipe, (), (name, course, minutes, ingredients))

Recipe pancakes() {
    Recipe recipe;
    recipe.name = "Pancakes";
    recipe.course = Course::dessert;
    recipe.minutes = 20;
    recipe.ingredients = {{"flour", 250, "g"}, {"milk", 0.5, "l"}, {"eggs", 3, std::nullopt}};
    return recipe;
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto program = llmproc::LLMProgram::from_toml(
            argc > 1 ? argv[1] : LLMPROC_EXAMPLE_PROGRAM
        );
        llmproc::SyncLLMProcess process = program.start_sync();

        // The model gets the schema of Recipe; the answer is read into one, or it is an error.
        const auto french = process.run_typed<Recipe>(
            "Translate the texts of this recipe into French: " + llmproc::to_json(pancakes())
        );
        std::cout << french.value.name << ", " << french.value.minutes << " minutes\n";
        for (const Ingredient& ingredient : french.value.ingredients) {
            std::cout << "  " << ingredient.amount << ' ' << ingredient.unit.value_or("") << ' '
                      << ingredient.name << '\n';
        }
        std::cout << "asked " << french.result.api_calls()
                  << " times, answer: " << french.result.text() << '\n';

        // A failure leaves the conversation as it was, and has the answer's text.
        try {
            process.run_as<int>("How are you?", llmproc::RunOptions().reasks(0));
        } catch (const llmproc::LLMError& error) {
            std::cout << "\nno number: " << error.what()
                      << "\nbut: " << error.diagnostics().partial_text << '\n';
        }
        std::cout << "messages: " << process.messages().size() << '\n';
        return EXIT_SUCCESS;
    } catch (const llmproc::LLMError& error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
