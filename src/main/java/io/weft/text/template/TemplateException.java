package io.weft.text.template;

/** A template cannot be read, cannot be run, or refuses what it is given. The message names the line if it is known. */
public final class TemplateException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    public TemplateException(String message) {
        super(message);
    }

    static TemplateException at(int line, String message) {
        return new TemplateException("line " + line + ": " + message);
    }
}
