package io.weft;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;

/** Runs the project's scripts as processes whose environment and programs are those that a test names. */
final class Script {

    /** A program that prints its arguments, one a line, in brackets. */
    static final String PRINT_ARGUMENTS = "#!/bin/sh\nfor argument; do echo \"[$argument]\"; done\n";

    private static final List<String> PROGRAMS = List.of(
            "basename",
            "bash",
            "cat",
            "cp",
            "curl",
            "cut",
            "dirname",
            "env",
            "find",
            "gzip",
            "id",
            "mkdir",
            "mktemp",
            "mv",
            "nproc",
            "readlink",
            "rm",
            "script",
            "sed",
            "sh",
            "sha256sum",
            "tar",
            "touch",
            "tr",
            "uname",
            "wget");

    /** How a process ended: its status, the lines of its output, and its errors as they are. */
    record Outcome(int status, List<String> output, String errors) {}

    private Script() {}

    /** Runs a command in the folder, with nothing in its environment but what is given. */
    static Outcome run(Path folder, Map<String, String> environment, String input, String... command)
            throws IOException, InterruptedException {
        Path outputFile = Files.createTempFile(folder, "output", "");
        Path errorFile = Files.createTempFile(folder, "errors", "");
        Path inputFile = Files.writeString(Files.createTempFile(folder, "input", ""), input);
        ProcessBuilder builder = new ProcessBuilder(command)
                .directory(folder.toFile())
                .redirectInput(inputFile.toFile())
                .redirectOutput(outputFile.toFile())
                .redirectError(errorFile.toFile());
        builder.environment().clear();
        builder.environment().putAll(environment);
        Process process = builder.start();
        try {
            int status = process.waitFor();
            return new Outcome(status, Files.readAllLines(outputFile), Files.readString(errorFile));
        } finally {
            process.destroyForcibly();
        }
    }

    /** Makes the file, with its folders, a program of this text. */
    static Path write(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Files.writeString(file, text);
        Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
        return file;
    }

    /** Makes the folder a JDK of this version, whose programs print their arguments. */
    static Path writeJdk(Path folder, String version) throws IOException {
        write(folder.resolve("bin/java"), PRINT_ARGUMENTS);
        write(folder.resolve("bin/javac"), PRINT_ARGUMENTS);
        Files.writeString(folder.resolve("release"), "IMPLEMENTOR=\"Test\"\nJAVA_VERSION=\"" + version + "\"\n");
        return folder;
    }

    /** Makes the folder one for PATH with what a bare system has: no Java, no compiler of CUDA, no package manager. */
    static Path writeBarePath(Path folder) throws IOException {
        List<String> directories = List.of(System.getenv("PATH").split(":"));
        for (String name : PROGRAMS) {
            Optional<Path> program = directories.stream()
                    .map(directory -> Path.of(directory, name))
                    .filter(Files::isExecutable)
                    .findFirst();
            if (program.isPresent()) {
                write(folder.resolve(name), "#!/bin/sh\nexec " + program.get() + " \"$@\"\n");
            }
        }
        return folder;
    }

    /** The names of the files in the folder, in order; none if there is no such folder. */
    static List<String> namesIn(Path folder) throws IOException {
        if (!Files.exists(folder)) {
            return List.of();
        }
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> file.getFileName().toString()).sorted().toList();
        }
    }
}
